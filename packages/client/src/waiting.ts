/**
 * Requests that wait for a token. Each leaves at once when its caller aborts it; none waits for ever.
 */
import {
  type EndCode,
  type EndReason,
  SessionExpiredError,
  SessionUnavailableError,
} from "./errors.ts";
import {
  type Ending,
  type Refreshing,
  type State,
  type Token,
  tokenOf,
  type Unreachable,
} from "./machine.ts";

interface Waiter {
  /** Whose request it is: it must never go out with another's token. */
  readonly owner: string | null;
  /** The token that was refused: it does not get that one again. */
  readonly sentWith: string | null;
  readonly resolve: (token: string | null) => void;
  readonly reject: (error: unknown) => void;
}

export interface Waiting {
  readonly join: (
    signal?: AbortSignal,
    owner?: string | null,
    sentWith?: string | null,
  ) => Promise<string | null>;
  /** Let go whoever can go on as things stand. */
  readonly serve: () => void;
}

export function createWaiting(
  state: () => State,
  now: () => number,
  loginUrl: () => string,
): Waiting {
  const waiters = new Set<Waiter>();

  /** Settles the waiter; false where there is nothing to tell it yet. */
  function settle(waiter: Waiter, at: State): boolean {
    switch (at.name) {
      case "booting":
        return false;
      case "refreshing":
        if (waiter.sentWith !== null && isGood(at, waiter)) return serveToken(waiter, at.token);
        return false;
      case "authenticated":
        return serveToken(waiter, at.token);
      case "unreachable":
        if (isGood(at, waiter)) return serveToken(waiter, at.token);
        waiter.reject(new SessionUnavailableError(at.retryInMs));
        return true;
      case "expired":
        return serveEnding(waiter, at.ending as Ending<EndCode, EndReason>);
      case "anonymous":
      case "logging-out":
        return serveEnding(waiter, { code: "logged_out", reason: null });
    }
  }

  function serveToken(waiter: Waiter, token: Token | null): true {
    const isAnothers = waiter.owner !== null && waiter.owner !== token?.userId;
    if (isAnothers) return serveEnding(waiter, { code: "logged_out", reason: null });
    waiter.resolve(token?.accessToken ?? null);
    return true;
  }

  /** Who asked before anybody knew whether he is signed in goes on as nobody. */
  function serveEnding(waiter: Waiter, { code, reason }: Ending<EndCode, EndReason>): true {
    if (waiter.owner === null) waiter.resolve(null);
    else waiter.reject(new SessionExpiredError(code, reason, loginUrl()));
    return true;
  }

  /** The old token will still do: for a late 401, or where only more of its life was wanted. */
  const isGood = ({ token, usable }: Refreshing | Unreachable, { sentWith }: Waiter): boolean =>
    usable && token !== null && token.accessToken !== sentWith && token.expiresAt > now();

  return {
    join: (signal, owner = tokenOf(state())?.userId ?? null, sentWith = null) =>
      new Promise((resolve, reject) => {
        signal?.throwIfAborted();
        const leave = (): void => {
          waiters.delete(waiter);
          reject(signal?.reason);
        };
        const waiter: Waiter = {
          owner,
          sentWith,
          resolve: (token) => {
            signal?.removeEventListener("abort", leave);
            resolve(token);
          },
          reject: (error) => {
            signal?.removeEventListener("abort", leave);
            reject(error);
          },
        };
        if (settle(waiter, state())) return;
        waiters.add(waiter);
        signal?.addEventListener("abort", leave);
      }),

    serve() {
      for (const waiter of waiters) if (settle(waiter, state())) waiters.delete(waiter);
    },
  };
}
