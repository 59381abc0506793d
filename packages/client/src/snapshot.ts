/**
 * What the outside is told: the state without its secrets, and the few events worth a name.
 */
import type { EndCode, EndReason } from "./errors.ts";
import { type Ending, type State, tokenOf } from "./machine.ts";
import type { Session, SessionEvents, SessionSnapshot } from "./types.ts";

export interface Reporter {
  readonly report: (state: State) => void;
  readonly face: Pick<Session, "getSnapshot" | "subscribe" | "on">;
}

type Listener<Event> = (event: Event) => void;

export function createReporter(): Reporter {
  let snapshot: SessionSnapshot = { status: "booting", userId: null };
  /** Whose data the page may hold; undefined until somebody knows. */
  let owner: string | null | undefined;
  const subscribers = new Set<Listener<void>>();
  const listeners: { readonly [Name in keyof SessionEvents]: Set<Listener<SessionEvents[Name]>> } =
    {
      expired: new Set(),
      unreachable: new Set(),
      restored: new Set(),
      "user-changed": new Set(),
    };

  function announce(before: SessionSnapshot, after: SessionSnapshot): void {
    if (after.status === "expired" && before.status !== "expired") {
      tell(listeners.expired, { code: after.code, reason: after.reason });
    }
    if (after.status === "unreachable" && after.retryInMs > 0) {
      tell(listeners.unreachable, { retryInMs: after.retryInMs });
    }
    if (after.status === "authenticated" && before.status === "unreachable") {
      tell(listeners.restored, { userId: after.userId });
    }
  }

  function announceOwner({ status, userId }: SessionSnapshot): void {
    const isKnown = userId !== null || status === "anonymous" || status === "logging-out";
    if (!isKnown || owner === userId) return;
    const previousUserId = owner;
    owner = userId;
    if (previousUserId !== undefined) tell(listeners["user-changed"], { userId, previousUserId });
  }

  return {
    report(state) {
      const before = snapshot;
      const after = snapshotOf(state);
      if (JSON.stringify(before) === JSON.stringify(after)) return;
      snapshot = after;
      tell(subscribers, undefined);
      announce(before, after);
      announceOwner(after);
    },

    face: {
      getSnapshot: () => snapshot,
      subscribe: (listener) => add(subscribers, listener),
      on: (name, listener) => add(listeners[name] as Set<typeof listener>, listener),
    },
  };
}

function snapshotOf(state: State): SessionSnapshot {
  const { name: status } = state;
  const userId = tokenOf(state)?.userId ?? null;
  switch (status) {
    case "expired":
      return { status, userId: state.userId, ...(state.ending as Ending<EndCode, EndReason>) };
    case "unreachable":
      return { status, userId, retryInMs: state.retryInMs };
    case "authenticated":
    case "refreshing": {
      const { token } = state;
      // While unreachable each try is a refresh: the face must not flicker.
      return !token || (status === "refreshing" && state.failures > 0)
        ? { status: "unreachable", userId, retryInMs: 0 }
        : { status, userId: token.userId, sessionId: token.sessionId };
    }
    default:
      return { status, userId: null };
  }
}

function add<One>(all: Set<One>, one: One): () => void {
  all.add(one);
  return () => all.delete(one);
}

/** One listener's mistake is not the next one's, nor ours. */
function tell<Event>(listeners: Set<Listener<Event>>, event: Event): void {
  for (const listener of listeners) {
    try {
      listener(event);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}
