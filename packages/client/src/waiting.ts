/**
 * Requests that wait for a token. Each leaves at once when its caller aborts it; none waits for ever.
 */
import {
  type EndCode,
  type EndReason,
  SessionExpiredError,
  SessionUnavailableError,
} from "./errors.ts";
import type { Ending, State, Token } from "./machine.ts";

/** What a request needs to go on. */
export interface Need {
  /** The token that was refused: it does not get that one again. */
  readonly sentWith?: string | null;
  /** A token that is nearly over will not do while another is on its way. */
  readonly minLife?: boolean;
  readonly signal?: AbortSignal | undefined;
}

export interface Waiting {
  /** The token of `owner`, as soon as there is one; null: go on without. It never is another's. */
  readonly join: (owner: string | null, need: Need) => Promise<string | null>;
  /** Let go whoever can go on as things stand. */
  readonly serve: () => void;
}

export function createWaiting(
  state: () => State,
  now: () => number,
  loginUrl: () => string,
): Waiting {
  const waiting = new Set<() => void>();

  /** Undefined: nothing can be said yet. */
  function answer(owner: string | null, need: Need): string | null | Error | undefined {
    const at = state();
    switch (at.name) {
      case "booting":
        return undefined;
      case "authenticated":
        return give(owner, at.token, need);
      case "refreshing":
        return !need.minLife && isGood(at, need) ? give(owner, at.token, need) : undefined;
      case "unreachable":
        return isGood(at, need)
          ? give(owner, at.token, need)
          : new SessionUnavailableError(at.retryInMs);
      case "expired":
        return refuse(owner, at.ending);
      default:
        return refuse(owner, LOGGED_OUT);
    }
  }

  function give(
    owner: string | null,
    token: Token | null,
    { sentWith }: Need,
  ): string | null | Error {
    if (owner !== null && owner !== token?.userId) return refuse(owner, LOGGED_OUT);
    // The same once more: it has been vindicated, and the 401 is the caller's.
    return token && token.accessToken !== sentWith ? token.accessToken : null;
  }

  /** Who asked before anybody knew whether he is signed in goes on as nobody. */
  function refuse(owner: string | null, ending: Ending): Error | null {
    const { code, reason } = ending as Ending<EndCode, EndReason>;
    return owner === null ? null : new SessionExpiredError(code, reason, loginUrl());
  }

  /** The old token will still do: for a late 401, or where only more of its life was wanted. */
  const isGood = (
    { token, usable }: { token: Token | null; usable: boolean },
    { sentWith }: Need,
  ): boolean =>
    usable && token !== null && token.accessToken !== sentWith && token.expiresAt > now();

  return {
    join: (owner, need) =>
      new Promise((resolve, reject) => {
        const { signal } = need;
        signal?.throwIfAborted();
        const leave = (): void => {
          waiting.delete(look);
          reject(signal?.reason);
        };
        const look = (): void => {
          const found = answer(owner, need);
          if (found === undefined) return;
          waiting.delete(look);
          signal?.removeEventListener("abort", leave);
          if (found instanceof Error) reject(found);
          else resolve(found);
        };
        waiting.add(look);
        signal?.addEventListener("abort", leave);
        look();
      }),

    serve() {
      for (const look of waiting) look();
    },
  };
}

const LOGGED_OUT: Ending = { code: "logged_out", reason: null };
