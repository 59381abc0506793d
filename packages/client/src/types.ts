/**
 * What the outside sees of a session. Types only.
 */
import type { EndCode, EndReason } from "./errors.ts";

/** How things stand, for faces: read it with `session.getSnapshot()`, follow it with `session.subscribe`. */
export type SessionSnapshot =
  /** Nobody knows yet: the page has just been loaded. Show neither the login page nor private things. */
  | { readonly status: "booting"; readonly userId: null }
  | { readonly status: "anonymous"; readonly userId: null }
  /** `refreshing` is for the curious: to the user it is the same as `authenticated`. */
  | {
      readonly status: "authenticated" | "refreshing";
      readonly userId: string;
      readonly sessionId: string;
    }
  /** Still signed in; the server cannot be reached. `userId` is null where that happened while booting. */
  | {
      readonly status: "unreachable";
      readonly userId: string | null;
      /** Until the next try, counted from this snapshot; 0 while one is under way. */
      readonly retryInMs: number;
    }
  /** Over for good. `userId` is null where the page was loaded with a session already dead. */
  | {
      readonly status: "expired";
      readonly userId: string | null;
      readonly code: EndCode;
      readonly reason: EndReason | null;
    }
  | { readonly status: "logging-out"; readonly userId: null };

export type SessionStatus = SessionSnapshot["status"];

export interface SessionEvents {
  /** The session ended for good (never after a logout). */
  expired: { readonly code: EndCode; readonly reason: EndReason | null };
  /** A refresh did not get through. Still signed in. */
  unreachable: { readonly retryInMs: number };
  /** After `unreachable`: all is well again. */
  restored: { readonly userId: string };
  /** Somebody else than before is signed in, or nobody (after a logout), here or from another tab: empty every cache of private data. */
  "user-changed": { readonly userId: string | null; readonly previousUserId: string | null };
}

export interface SessionOptions {
  /** Where the auth routes live: a path or an absolute URL. Default `/auth`. */
  readonly authUrl?: string;
  /** The server's own name, where one app has several (`Batonpass(…, name="staff")`): it stands in its cookies' names. */
  readonly name?: string;
  /** Where the access token may go, beside this page's own origin and `authUrl`'s: exact origins. */
  readonly origins?: readonly string[];
  /** The login page's address, leading back to `returnTo`. Default `/login?return_to=…`. */
  readonly loginUrl?: (returnTo: string) => string;
  /**
   * May the server's readable cookie (`session_state`) be believed?
   * `"auto"` (default): it is read where `authUrl` is on this page's origin; where it is missing the server is asked once.
   * `true`: it is read, and where it is missing nobody is signed in: first visits cost no request.
   * `false`: it is never read.
   */
  readonly hintCookie?: boolean | "auto";
  /** How long a refresh, login or logout may take. Default 8 000. A lock of another tab is waited for 2 s longer. */
  readonly timeoutMs?: number;
  /** What the session touches of the world; for tests and unusual hosts. Default: the browser's. */
  readonly host?: Partial<Host>;
}

export interface Credentials {
  readonly email: string;
  readonly password: string;
  /** "Keep me signed in": false ends the session with the browser. Default true. */
  readonly remember?: boolean;
}

export interface Registration {
  readonly email: string;
  readonly password: string;
}

export interface PasswordChange {
  readonly currentPassword: string;
  readonly newPassword: string;
}

/** `created`: the account exists and may log in. `mailed`: a mail with a link is on its way (REGISTRATION=confirm). */
export type RegistrationResult =
  | { readonly status: "created"; readonly id: string; readonly email: string }
  | { readonly status: "mailed" };

/** What a binding tells about a 401, so that the session can decide. */
export interface Refusal {
  /** The access token that the refused request carried; null where it carried none. */
  readonly sentWith: string | null;
  /** `code` of the answer, where it had one. */
  readonly code: string | null;
}

export interface Session {
  /** Begin to live: listen to other tabs, find out who is signed in. Counted; the last disposer ends it. */
  start(): () => void;
  getSnapshot(): SessionSnapshot;
  subscribe(listener: () => void): () => void;
  on<Name extends keyof SessionEvents>(
    name: Name,
    listener: (event: SessionEvents[Name]) => void,
  ): () => void;
  /** Resolves as soon as booting is over; for route guards. */
  ready(): Promise<SessionSnapshot>;

  /** @throws ApiError */
  login(credentials: Credentials): Promise<void>;
  /** Creates an account; does not log in. @throws ApiError */
  register(registration: Registration): Promise<RegistrationResult>;
  /** Ends every other session. @throws ApiError, SessionExpiredError, SessionUnavailableError */
  changePassword(change: PasswordChange): Promise<void>;
  /** Shows that it is still you; the way back from `login_required_again`. @throws as changePassword */
  confirm(password: string): Promise<void>;
  /** Ends the session, here at once, on the server as soon as it can be reached. Never rejects. */
  logout(): Promise<void>;
  /** "Try now": only does something while unreachable. */
  retry(): void;

  /** The login page's address, leading back to `returnTo` (default: the page one is on). */
  loginUrl(returnTo?: string): string;

  /** For bindings: may this absolute URL get the token? */
  covers(url: string): boolean;
  /**
   * For bindings: the token to send, refreshed first where it is known to be over; null where nobody is signed in.
   * With `minLife` also where it is nearly over (for bodies that cannot be sent twice).
   * @throws SessionUnavailableError, SessionExpiredError; the signal's reason
   */
  token(options?: {
    readonly minLife?: boolean;
    readonly signal?: AbortSignal | undefined;
  }): Promise<string | null>;
  /**
   * For bindings: what to do about a 401. Resolves with the token to try once more with; null: hand the 401 on.
   * @throws SessionUnavailableError, SessionExpiredError; the signal's reason
   */
  refused(refusal: Refusal, signal?: AbortSignal): Promise<string | null>;
  /** For bindings: the second try, with that token, was refused too: the token is not to blame. */
  refusedAgain(token: string): void;
}

/** A BroadcastChannel, as far as we use it. */
export interface Channel {
  onmessage: ((event: MessageEvent) => void) | null;
  postMessage(message: unknown): void;
  close(): void;
}

/** The world. Everything that `session.ts` touches, so that tests can move the clock and share a cookie jar. */
export interface Host {
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** Monotonic, in ms. */
  readonly now: () => number;
  /** Runs `callback` after `ms`; returns what cancels it. */
  readonly after: (ms: number, callback: () => void) => () => void;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  readonly readCookies: () => string;
  readonly writeCookie: (cookie: string) => void;
  /** Null in insecure contexts. */
  readonly locks: () => Pick<LockManager, "request"> | null;
  readonly channel: (name: string) => Channel | null;
  /** The page's address; null outside a page. */
  readonly location: () => { readonly href: string; readonly origin: string } | null;
  readonly isHidden: () => boolean;
  /** `online`, `visible` and `restored` (from the back/forward cache); returns what stops it. */
  readonly listen: (listener: (what: "online" | "visible" | "restored") => void) => () => void;
}
