/**
 * What the outside is told: the state without its secrets, and the few events worth a name.
 */
import type { EndCode, EndReason } from "./errors.ts";
import { type Ending, type State, tokenOf } from "./machine.ts";
import type { Session, SessionEvents, SessionSnapshot } from "./types.ts";

type Listener = (event: never) => void;

export interface Reporter extends Pick<Session, "getSnapshot" | "subscribe" | "on" | "ready"> {
  readonly report: (state: State) => void;
}

export function createReporter(): Reporter {
  let snapshot: SessionSnapshot = { status: "booting", userId: null };
  /** Whose data the page may hold; undefined until somebody knows. */
  let owner: string | null | undefined;
  const subscribers = new Set<() => void>();
  const listeners = new Map<string, Set<Listener>>();

  function emit<Name extends keyof SessionEvents>(name: Name, event: SessionEvents[Name]): void {
    for (const listener of listeners.get(name) ?? []) call(() => listener(event as never));
  }

  function announce(before: SessionSnapshot, after: SessionSnapshot): void {
    if (after.status === "expired" && before.status !== "expired") {
      emit("expired", { code: after.code, reason: after.reason });
    }
    if (after.status === "unreachable" && after.retryInMs > 0) {
      emit("unreachable", { retryInMs: after.retryInMs });
    }
    if (after.status === "authenticated" && before.status === "unreachable") {
      emit("restored", { userId: after.userId });
    }
  }

  function announceOwner({ status, userId }: SessionSnapshot): void {
    const isKnown = userId !== null || status === "anonymous" || status === "logging-out";
    if (!isKnown || owner === userId) return;
    const previousUserId = owner;
    owner = userId;
    if (previousUserId !== undefined) emit("user-changed", { userId, previousUserId });
  }

  const subscribe = (listener: () => void): (() => void) => {
    subscribers.add(listener);
    return () => subscribers.delete(listener);
  };

  return {
    getSnapshot: () => snapshot,
    subscribe,

    report(state) {
      const before = snapshot;
      const after = snapshotOf(state);
      if (JSON.stringify(before) === JSON.stringify(after)) return;
      snapshot = after;
      for (const subscriber of subscribers) call(subscriber);
      announce(before, after);
      announceOwner(after);
    },

    on(name, listener) {
      const all = listeners.get(name) ?? new Set();
      listeners.set(name, all.add(listener as Listener));
      return () => all.delete(listener as Listener);
    },

    ready: () =>
      new Promise((resolve) => {
        const look = (): void => {
          if (snapshot.status === "booting") return;
          unsubscribe();
          resolve(snapshot);
        };
        const unsubscribe = subscribe(look);
        look();
      }),
  };
}

function snapshotOf(state: State): SessionSnapshot {
  const { name: status } = state;
  const userId = tokenOf(state)?.userId ?? null;
  switch (status) {
    case "booting":
    case "anonymous":
    case "logging-out":
      return { status, userId: null };
    case "expired": {
      const { code, reason } = state.ending as Ending<EndCode, EndReason>;
      return { status, userId: state.userId, code, reason };
    }
    case "unreachable":
      return { status, userId, retryInMs: state.retryInMs };
    default: {
      const { token } = state;
      // While unreachable each try is a refresh: the face must not flicker.
      return !token || (status === "refreshing" && state.failures > 0)
        ? { status: "unreachable", userId, retryInMs: 0 }
        : { status, userId: token.userId, sessionId: token.sessionId };
    }
  }
}

/** One listener's mistake is not the next one's, nor ours. */
function call(listener: () => void): void {
  try {
    listener();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
