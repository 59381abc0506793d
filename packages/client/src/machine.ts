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
  /** The token answer to a login, a change of password or a confirmation, here or in another tab. */
  | { readonly type: "signed-in"; readonly token: Token; readonly elsewhere: boolean }
  | { readonly type: "logout" }
  | { readonly type: "logout-done"; readonly epoch: number }
  /** Another tab logs out, or did so before this page woke. */
  | { readonly type: "logged-out-in-tab" }
  /** The readable cookie is one that this page has never seen: what it shows may not be this user's. */
  | { readonly type: "strange-cookie" }
  /** Another tab has refreshed, or found out that it is over. */
  | { readonly type: "token-from-tab"; readonly token: Token }
  | { readonly type: "ended-in-tab"; readonly sessionId: string; readonly ending: Ending }
  /** A 401 to a request that carried `sentWith`. */
  | {
      readonly type: "unauthorized";
      readonly sentWith: string;
      readonly revoked: boolean;
      readonly now: number;
    }
  /** The second try, with `sentWith`, was refused too. */
  | { readonly type: "refused-again"; readonly sentWith: string }
  /** The token is over; or nearly so, or the cookie went back: then it is `usable` meanwhile. */
  | { readonly type: "refresh-needed"; readonly usable: boolean }
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

/** The token that a state holds, if any: good, over or refused. */
export const tokenOf = (state: State): Token | null => ("token" in state ? state.token : null);

export interface Step {
  readonly state: State;
  readonly effects: readonly Effect[];
}

/** The backoff's steps: 1, 2, 4 … 60 s. */
const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 60_000;

/** No server's Retry-After keeps us away for longer. */
const LONGEST_RETRY_MS = 300_000;

/** A vindicated token is believed in for this long: an endpoint that is always 401 costs one refresh, not one a request. */
export const VINDICATED_FOR_MS = 30_000;

export const INITIAL: State = { name: "booting", epoch: 0 };

const step = (state: State, ...effects: readonly Effect[]): Step => ({ state, effects });

export function transition(state: State, event: SessionEvent): Step {
  const { epoch } = state;
  // An answer that was asked for before a login, a logout or an end came between.
  if ("epoch" in event && event.epoch !== epoch) return step(state);
  switch (event.type) {
    case "signed-in": // also while logging out: it came after the logout, which has nothing left to end
      return adopted(epoch + 1, event.token, ...(event.elsewhere ? [] : (["tell-login"] as const)));
    case "logout": // also while anonymous: there may be a cookie all the same
      return loggingOut(epoch);
    case "logged-out-in-tab": // two tabs at once: the request of each must still go out
      return state.name === "logging-out" ? step(state) : anonymous(epoch + 1);
    case "strange-cookie": // the token is forgotten before anything else is asked
      return step({ name: "booting", epoch: epoch + 1 }, "refresh");
    default:
      return within(state, event);
  }
}

type LocalEvent = Exclude<
  SessionEvent,
  { type: "signed-in" | "logout" | "logged-out-in-tab" | "strange-cookie" }
>;

function within(state: State, event: LocalEvent): Step {
  switch (state.name) {
    case "booting":
      return whileBooting(state, event);
    case "authenticated":
      return whileAuthenticated(state, event);
    case "refreshing":
      return whileRefreshing(state, event);
    case "unreachable":
      return whileUnreachable(state, event);
    case "logging-out":
      // Another tab's token was sent before that tab heard of the logout: it brings nothing back.
      return event.type === "logout-done" ? anonymous(state.epoch) : step(state);
    default:
      // Anonymous or expired: only a login ends that. A 401 is the caller's.
      state.name satisfies "anonymous" | "expired";
      return step(state);
  }
}

/** The page has just been loaded: a refresh is under way, and nobody knows yet who is signed in. */
function whileBooting(state: Booting, event: LocalEvent): Step {
  const { epoch } = state;
  switch (event.type) {
    case "renewed":
      return adopted(epoch, event.token, "tell-token");
    case "token-from-tab":
      return adopted(epoch, event.token);
    case "denied":
      return denied(epoch, null, event.ending);
    case "unreachable":
      return unreachable({ epoch, token: null, usable: false, failures: 0 }, event.retryAfterMs);
    default:
      return step(state); // the refresh under way will tell
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
    case "refresh-needed":
      return refreshing({ epoch, token, usable: event.usable, failures: 0 });
    case "renewed": // a second answer to one expiry: another tab's token had come first
    case "token-from-tab":
      return isNewer(event.token, token) ? adopted(epoch, event.token) : step(state);
    case "ended-in-tab":
      return endedInTab(state, token, event);
    default:
      // An outcome that comes late was said of a token that another tab had renewed meanwhile.
      event.type satisfies "denied" | "unreachable" | "logout-done" | "retry";
      return step(state);
  }
}

/** A refresh has three outcomes, never two: being offline is no logout. */
function whileRefreshing(state: Refreshing, event: LocalEvent): Step {
  const { epoch, token } = state;
  switch (event.type) {
    case "renewed":
      return adopted(epoch, event.token, "tell-token");
    case "denied":
      return denied(epoch, token, event.ending);
    case "unreachable":
      return unreachable(state, event.retryAfterMs);
    default:
      return whileInNeed(state, event);
  }
}

/** Signed in, but no fresh token can be had just now: requests fail, the session stays. */
function whileUnreachable(state: Unreachable, event: LocalEvent): Step {
  const { epoch, token, usable, failures } = state;
  switch (event.type) {
    case "retry":
      return refreshing({ epoch, token, usable, failures });
    default:
      return whileInNeed(state, event);
  }
}

/** What is the same whether a refresh is under way or awaits its next try. */
function whileInNeed(state: Refreshing | Unreachable, event: LocalEvent): Step {
  const { epoch, token, usable } = state;
  switch (event.type) {
    case "unauthorized": // one more request waits: the refresh serves it too
      return step({ ...state, usable: usable && event.sentWith !== token?.accessToken });
    case "refresh-needed":
      return step({ ...state, usable: usable && event.usable });
    case "token-from-tab":
      return !token || isNewer(event.token, token) ? adopted(epoch, event.token) : step(state);
    case "ended-in-tab":
      return endedInTab(state, token, event);
    default:
      return step(state); // an outcome of another try, or of one request
  }
}

const anonymous = (epoch: number): Step => step({ name: "anonymous", epoch }, "serve-waiting");

const adopted = (epoch: number, token: Token, ...tell: readonly Effect[]): Step =>
  step({ name: "authenticated", epoch, token, vindicated: false }, "serve-waiting", ...tell);

const refreshing = (at: Omit<Refreshing, "name">): Step =>
  step({ ...at, name: "refreshing" }, "refresh");

function unreachable(at: Omit<Refreshing, "name">, retryAfterMs: number | null): Step {
  const backoff = Math.min(FIRST_RETRY_MS * 2 ** at.failures, LAST_RETRY_MS);
  const retryInMs = Math.min(Math.max(backoff, retryAfterMs ?? 0), LONGEST_RETRY_MS);
  const { epoch, token, usable, failures } = at;
  return step(
    { name: "unreachable", epoch, token, usable, failures: failures + 1, retryInMs },
    "serve-waiting",
    "schedule-retry",
  );
}

/** The server said so: it is over. Who never was signed in on this page is simply nobody. */
function denied(epoch: number, token: Token | null, ending: Ending): Step {
  if (!token && ending.code === "refresh_missing") return anonymous(epoch);
  return expired(epoch, token, ending, "tell-ending");
}

/** Another session's end is none of ours. */
function endedInTab(
  state: State,
  token: Token | null,
  { sessionId, ending }: { sessionId: string; ending: Ending },
): Step {
  return sessionId === token?.sessionId ? expired(state.epoch, token, ending) : step(state);
}

const expired = (
  epoch: number,
  token: Token | null,
  ending: Ending,
  ...tell: readonly Effect[]
): Step =>
  step(
    { name: "expired", epoch: epoch + 1, userId: token?.userId ?? null, ending },
    "serve-waiting",
    ...tell,
  );

/** The epoch first: whatever is in flight belongs to the past from here on. */
const loggingOut = (epoch: number): Step =>
  step({ name: "logging-out", epoch: epoch + 1 }, "tell-logout", "post-logout", "serve-waiting");

/** Another session's token is no successor: it comes as `signed-in`. */
export const isNewer = (candidate: Token, token: Token): boolean =>
  candidate.sessionId === token.sessionId && candidate.generation > token.generation;

/** Not for a session that has ended: the refresh then says why. Nor for ever: keys change. */
function isVindicated(state: Authenticated, event: { revoked: boolean; now: number }): boolean {
  const age = event.now - state.token.receivedAt;
  return state.vindicated && !event.revoked && age < VINDICATED_FOR_MS;
}
