/**
 * The session as a machine: states, events, and what is to be done about them.
 *
 * Pure: no DOM, no axios, no React, no clock (its own tsconfig holds it to that). Effects are data, which
 * `session.ts` alone performs. The diagram in docs/client.md is drawn from this file.
 *
 * `epoch` counts whose session this is: a login, a logout and an end raise it, and an answer that was
 * asked for in an earlier one is not believed. So a refresh in flight never brings a session back.
 */

/** An access token and what the session needs to know about it. Times are monotonic, in ms. */
export interface Token {
  readonly accessToken: string;
  readonly userId: string;
  readonly sessionId: string;
  readonly generation: number;
  readonly receivedAt: number;
  readonly expiresAt: number;
  /** The readable cookie as it stood when this token came; null where it cannot be read. */
  readonly hint: string | null;
}

/** Why it is over: the server's code and reason, as `errors.ts` lists them. */
export interface Ending<Code extends string = string, Reason extends string = string> {
  readonly code: Code;
  readonly reason: Reason | null;
}

export type Booting = { readonly name: "booting"; readonly epoch: number };
export type Anonymous = { readonly name: "anonymous"; readonly epoch: number };
export type Authenticated = {
  readonly name: "authenticated";
  readonly epoch: number;
  readonly token: Token;
  /** A request failed twice, the second time with this very token: so it is not the token's fault. */
  readonly vindicated: boolean;
};
export type Refreshing = {
  readonly name: "refreshing";
  readonly epoch: number;
  /** What we had; null after a boot that did not get through. */
  readonly token: Token | null;
  /** Whether requests may still go out with it meanwhile. */
  readonly usable: boolean;
  /** Tries that did not get through before this one. */
  readonly failures: number;
};
export type Unreachable = {
  readonly name: "unreachable";
  readonly epoch: number;
  readonly token: Token | null;
  readonly usable: boolean;
  readonly failures: number;
  readonly retryInMs: number;
};
export type Expired = {
  readonly name: "expired";
  readonly epoch: number;
  readonly userId: string | null;
  readonly ending: Ending;
};
export type LoggingOut = { readonly name: "logging-out"; readonly epoch: number };

export type State =
  | Booting
  | Anonymous
  | Authenticated
  | Refreshing
  | Unreachable
  | Expired
  | LoggingOut;

/** What a refresh came to. Three outcomes, never two: being offline is no logout. */
export type Outcome =
  | { readonly type: "renewed"; readonly epoch: number; readonly token: Token }
  | { readonly type: "denied"; readonly epoch: number; readonly ending: Ending }
  | { readonly type: "unreachable"; readonly epoch: number; readonly retryAfterMs: number | null };

export type SessionEvent =
  | Outcome
  /** A 401 to a request that carried `sentWith`. */
  | {
      readonly type: "unauthorized";
      readonly sentWith: string;
      readonly revoked: boolean;
      readonly now: number;
    }
  /** The second try, with `sentWith`, was refused too. */
  | { readonly type: "refused-again"; readonly sentWith: string }
  /** A request is to go out, but the token is over, or too nearly so, or the cookie is another session's. */
  | { readonly type: "token-over"; readonly nearly: boolean }
  /** The readable cookie went back: a late answer overwrote what a later one had set. */
  | { readonly type: "cookie-went-back" }
  /** The readable cookie is gone, or another's: what this page shows may not be this user's. */
  | { readonly type: "cookie-changed-hands"; readonly gone: boolean }
  /** Nobody was signed in here, and now there is a readable cookie. */
  | { readonly type: "cookie-appeared" }
  /** The readable cookie says that there is nobody: no need to ask. */
  | { readonly type: "nobody" }
  /** The token answer to a login, a change of password or a confirmation, here or in another tab. */
  | { readonly type: "signed-in"; readonly token: Token; readonly elsewhere: boolean }
  /** Another tab has refreshed. */
  | { readonly type: "token-from-tab"; readonly token: Token }
  | { readonly type: "ended-in-tab"; readonly sessionId: string; readonly ending: Ending }
  | { readonly type: "logout" }
  | { readonly type: "logged-out-in-tab" }
  | { readonly type: "logout-done"; readonly epoch: number }
  /** The timer, the network, or the user says: try again. */
  | { readonly type: "retry" };

export type Effect =
  /** Get a token: from another tab, or from the server. Ends in an `Outcome`. */
  | "refresh"
  /** Every waiting request goes on, with what there is now. */
  | "serve-waiting"
  | "schedule-retry"
  /** Other tabs: here is a newer token; another is signed in; it is over; we log out. */
  | "tell-token"
  | "tell-login"
  | "tell-ending"
  | "tell-logout"
  | "post-logout";

export interface Step {
  readonly state: State;
  readonly effects: readonly Effect[];
}

/** The backoff's steps: 1, 2, 4 … 60 s. */
const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 60_000;

/** A vindicated token is believed in for this long: an endpoint that is always 401 costs one refresh, not one a request. */
export const VINDICATED_FOR_MS = 30_000;

export const INITIAL: State = { name: "booting", epoch: 0 };

const step = (state: State, ...effects: readonly Effect[]): Step => ({ state, effects });

export function transition(state: State, event: SessionEvent): Step {
  // An answer that was asked for before a login, a logout or an end came between.
  if ("epoch" in event && event.epoch !== state.epoch) return step(state);
  // Whoever logs out is logged out in every state, and so is who does it in another tab.
  if (event.type === "logged-out-in-tab") return whenLoggedOutElsewhere(state);
  switch (state.name) {
    case "booting":
      return whileBooting(state, event);
    case "anonymous":
      return whileAnonymous(state, event);
    case "authenticated":
      return whileAuthenticated(state, event);
    case "refreshing":
      return whileRefreshing(state, event);
    case "unreachable":
      return whileUnreachable(state, event);
    case "expired":
      return whileExpired(state, event);
    case "logging-out":
      return whileLoggingOut(state, event);
    default:
      return assertNever(state);
  }
}

type LocalEvent = Exclude<SessionEvent, { type: "logged-out-in-tab" }>;

/** The page has just been loaded: a refresh is under way, and nobody knows yet who is signed in. */
function whileBooting(state: Booting, event: LocalEvent): Step {
  const { epoch } = state;
  switch (event.type) {
    case "renewed":
      return adopted(epoch, event.token, "tell-token");
    case "token-from-tab":
      return adopted(epoch, event.token);
    case "signed-in":
      return signedIn(state, event);
    case "nobody":
      return step({ name: "anonymous", epoch }, "serve-waiting");
    case "denied":
      return denied(state, null, event.ending);
    case "unreachable":
      return unreachable({ epoch, token: null, usable: false, failures: 0 }, event.retryAfterMs);
    case "logout":
      return loggingOut(state);
    case "unauthorized":
    case "refused-again":
    case "token-over":
    case "cookie-went-back":
    case "cookie-changed-hands":
    case "cookie-appeared":
    case "ended-in-tab":
    case "logout-done":
    case "retry":
      return step(state); // the refresh under way will tell
    default:
      return assertNever(event);
  }
}

/** Nobody is signed in. Requests go out without a token, and a 401 is the caller's. */
function whileAnonymous(state: Anonymous, event: LocalEvent): Step {
  switch (event.type) {
    case "signed-in":
      return signedIn(state, event);
    case "cookie-appeared":
      return step({ name: "booting", epoch: state.epoch + 1 }, "refresh");
    case "logout": // there may be a cookie all the same
      return loggingOut(state);
    case "token-from-tab": // sent before that tab heard of our logout: it must not bring the session back
    case "renewed":
    case "denied":
    case "unreachable":
    case "unauthorized":
    case "refused-again":
    case "token-over":
    case "cookie-went-back":
    case "cookie-changed-hands":
    case "nobody":
    case "ended-in-tab":
    case "logout-done":
    case "retry":
      return step(state);
    default:
      return assertNever(event);
  }
}

function whileAuthenticated(state: Authenticated, event: LocalEvent): Step {
  const { epoch, token } = state;
  switch (event.type) {
    case "unauthorized":
      // A late 401, sent with an older token: the newer one answers it.
      if (event.sentWith !== token.accessToken || isVindicated(state, event)) return step(state);
      return refreshing({ epoch, token, usable: false, failures: 0 });
    case "refused-again":
      return step({
        ...state,
        vindicated: state.vindicated || event.sentWith === token.accessToken,
      });
    case "token-over":
      return refreshing({ epoch, token, usable: event.nearly, failures: 0 });
    case "cookie-went-back":
      return refreshing({ epoch, token, usable: true, failures: 0 });
    case "cookie-changed-hands":
      return changedHands(state, event.gone);
    case "renewed": // a second answer to one expiry: another tab's token had come first
    case "token-from-tab":
      return isNewer(event.token, token) ? adopted(epoch, event.token) : step(state);
    case "signed-in":
      return signedIn(state, event);
    case "ended-in-tab":
      return event.sessionId === token.sessionId
        ? expired(state, token, event.ending)
        : step(state);
    case "logout":
      return loggingOut(state);
    case "denied": // said of a token that another tab had renewed meanwhile
    case "unreachable":
    case "cookie-appeared":
    case "nobody":
    case "logout-done":
    case "retry":
      return step(state);
    default:
      return assertNever(event);
  }
}

/** A refresh has three outcomes, never two: being offline is no logout. */
function whileRefreshing(state: Refreshing, event: LocalEvent): Step {
  const { epoch, token } = state;
  switch (event.type) {
    case "renewed":
      return adopted(epoch, event.token, "tell-token");
    case "denied":
      return denied(state, token, event.ending);
    case "unreachable":
      return unreachable(state, event.retryAfterMs);
    case "token-from-tab":
      return !token || isNewer(event.token, token) ? adopted(epoch, event.token) : step(state);
    case "unauthorized":
      // One more request waits: the refresh under way serves it too.
      return step({ ...state, usable: state.usable && event.sentWith !== token?.accessToken });
    case "token-over":
      return step({ ...state, usable: state.usable && event.nearly });
    case "cookie-changed-hands":
      return changedHands(state, event.gone);
    case "signed-in":
      return signedIn(state, event);
    case "ended-in-tab":
      return event.sessionId === token?.sessionId
        ? expired(state, token, event.ending)
        : step(state);
    case "logout":
      return loggingOut(state);
    case "refused-again":
    case "cookie-went-back":
    case "cookie-appeared":
    case "nobody":
    case "logout-done":
    case "retry":
      return step(state);
    default:
      return assertNever(event);
  }
}

/** Signed in, but no fresh token can be had just now: requests fail, the session stays. */
function whileUnreachable(state: Unreachable, event: LocalEvent): Step {
  const { epoch, token, usable, failures } = state;
  switch (event.type) {
    case "retry":
      return refreshing({ epoch, token, usable, failures });
    case "unauthorized":
      return step({ ...state, usable: usable && event.sentWith !== token?.accessToken });
    case "token-over":
      return step({ ...state, usable: state.usable && event.nearly });
    case "token-from-tab":
      return !token || isNewer(event.token, token) ? adopted(epoch, event.token) : step(state);
    case "cookie-changed-hands":
      return changedHands(state, event.gone);
    case "signed-in":
      return signedIn(state, event);
    case "ended-in-tab":
      return event.sessionId === token?.sessionId
        ? expired(state, token, event.ending)
        : step(state);
    case "logout":
      return loggingOut(state);
    case "renewed":
    case "denied":
    case "unreachable":
    case "refused-again":
    case "cookie-went-back":
    case "cookie-appeared":
    case "nobody":
    case "logout-done":
      return step(state);
    default:
      return assertNever(event);
  }
}

/** Over for good, until somebody logs in, here or in another tab. */
function whileExpired(state: Expired, event: LocalEvent): Step {
  switch (event.type) {
    case "signed-in":
      return signedIn(state, event);
    case "cookie-appeared":
      return step({ name: "booting", epoch: state.epoch + 1 }, "refresh");
    case "logout":
      return loggingOut(state);
    case "token-from-tab": // may be of the very session that has ended
    case "renewed":
    case "denied":
    case "unreachable":
    case "unauthorized":
    case "refused-again":
    case "token-over":
    case "cookie-went-back":
    case "cookie-changed-hands":
    case "nobody":
    case "ended-in-tab":
    case "logout-done":
    case "retry":
      return step(state);
    default:
      return assertNever(event);
  }
}

/** Here it is over already; the server is being told. */
function whileLoggingOut(state: LoggingOut, event: LocalEvent): Step {
  switch (event.type) {
    case "logout-done":
      return step({ name: "anonymous", epoch: state.epoch }, "serve-waiting");
    case "signed-in":
      return signedIn(state, event); // it came after the logout, which has nothing left to end
    case "logout":
    case "token-from-tab":
    case "renewed":
    case "denied":
    case "unreachable":
    case "unauthorized":
    case "refused-again":
    case "token-over":
    case "cookie-went-back":
    case "cookie-changed-hands":
    case "cookie-appeared":
    case "nobody":
    case "ended-in-tab":
    case "retry":
      return step(state);
    default:
      return assertNever(event);
  }
}

function whenLoggedOutElsewhere(state: State): Step {
  if (state.name === "logging-out") return step(state);
  return step({ name: "anonymous", epoch: state.epoch + 1 }, "serve-waiting");
}

const adopted = (epoch: number, token: Token, ...tell: readonly Effect[]): Step =>
  step({ name: "authenticated", epoch, token, vindicated: false }, "serve-waiting", ...tell);

function signedIn(state: State, event: { token: Token; elsewhere: boolean }): Step {
  return adopted(state.epoch + 1, event.token, ...(event.elsewhere ? [] : ["tell-login" as const]));
}

const refreshing = (at: Omit<Refreshing, "name">): Step =>
  step({ ...at, name: "refreshing" }, "refresh");

function unreachable(at: Omit<Refreshing, "name">, retryAfterMs: number | null): Step {
  const backoff = Math.min(FIRST_RETRY_MS * 2 ** at.failures, LAST_RETRY_MS);
  const retryInMs = Math.max(backoff, retryAfterMs ?? 0);
  const { epoch, token, usable, failures } = at;
  return step(
    { name: "unreachable", epoch, token, usable, failures: failures + 1, retryInMs },
    "serve-waiting",
    "schedule-retry",
  );
}

/** The server said so: it is over. Who never was signed in on this page is simply nobody. */
function denied(state: State, token: Token | null, ending: Ending): Step {
  if (!token && ending.code === "refresh_missing") {
    return step({ name: "anonymous", epoch: state.epoch }, "serve-waiting");
  }
  const { state: next, effects } = expired(state, token, ending);
  return step(next, ...(token ? ["tell-ending" as const] : []), ...effects);
}

const expired = (state: State, token: Token | null, ending: Ending): Step =>
  step(
    { name: "expired", epoch: state.epoch + 1, userId: token?.userId ?? null, ending },
    "serve-waiting",
  );

/** The token is forgotten before anything else is asked. */
function changedHands(state: State, gone: boolean): Step {
  const epoch = state.epoch + 1;
  return gone
    ? step({ name: "anonymous", epoch }, "serve-waiting")
    : step({ name: "booting", epoch }, "refresh");
}

/** The epoch first: whatever is in flight belongs to the past from here on. */
const loggingOut = (state: State): Step =>
  step(
    { name: "logging-out", epoch: state.epoch + 1 },
    "tell-logout",
    "post-logout",
    "serve-waiting",
  );

/** Another session's token is no successor: it comes as `signed-in`. */
function isNewer(candidate: Token, token: Token): boolean {
  return candidate.sessionId === token.sessionId && candidate.generation > token.generation;
}

/** Not for a session that has ended: the refresh then says why. Nor for ever: keys change. */
function isVindicated(state: Authenticated, event: { revoked: boolean; now: number }): boolean {
  const age = event.now - state.token.receivedAt;
  return state.vindicated && !event.revoked && age < VINDICATED_FOR_MS;
}

function assertNever(value: never): never {
  throw new TypeError(`No such state or event: ${Object.keys(value)}`); // no values: no token
}
