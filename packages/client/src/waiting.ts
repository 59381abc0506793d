/**
 * Requests that wait for a token. Each leaves at once when its caller aborts it; none waits for ever.
 */
import {
  type EndCode,
  type EndReason,
  SessionExpiredError,
  SessionUnavailableError,
} from "./errors.ts";
import type { State, Unreachable } from "./machine.ts";

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
    const { owner, sentWith, resolve, reject } = waiter;
    const over = (code: EndCode, reason: EndReason | null): void =>
      owner === null ? resolve(null) : reject(new SessionExpiredError(code, reason, loginUrl()));
    switch (at.name) {
      case "booting":
      case "refreshing":
        if (at.name === "booting" || !isNewTo(waiter, at)) return false;
        resolve(at.token?.accessToken ?? null);
        return true;
      case "authenticated":
        if (owner !== null && owner !== at.token.userId) over("logged_out", null);
        else resolve(at.token.accessToken);
        return true;
      case "unreachable":
        if (isGood(at, sentWith)) resolve(at.token?.accessToken ?? null);
        else reject(new SessionUnavailableError(at.retryInMs));
        return true;
      case "expired":
        over(at.ending.code as EndCode, at.ending.reason as EndReason | null);
        return true;
      case "anonymous":
      case "logging-out":
        over("logged_out", null);
        return true;
    }
  }

  const isGood = ({ token, usable }: Unreachable, sentWith: string | null): boolean =>
    usable && token !== null && token.accessToken !== sentWith && token.expiresAt > now();

  return {
    join: (signal, owner = ownerIn(state()), sentWith = null) =>
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

/** A late 401 while a newer token, still good, is about to be replaced: that one will do. */
function isNewTo({ sentWith }: Waiter, at: Extract<State, { name: "refreshing" }>): boolean {
  return at.usable && sentWith !== null && at.token?.accessToken !== sentWith;
}

function ownerIn(state: State): string | null {
  return "token" in state ? (state.token?.userId ?? null) : null;
}
