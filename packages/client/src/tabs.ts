/**
 * One session, many tabs: a lock so that one tab refreshes at a time, and a channel over which the others get
 * what it got. Both are savings, never needed for safety: the server settles whatever comes at once.
 */
import type { SessionEvent } from "./machine.ts";
import { moved } from "./tokens.ts";
import type { Channel, Host } from "./types.ts";

/** How long a neighbour may take to answer (measured: 32 ms at p95). */
const ANSWER_MS = 150;

/** What happened in one tab, as the machines of the others take it. */
export type TabEvent = Extract<
  SessionEvent,
  { type: "signed-in" | "token-from-tab" | "ended-in-tab" | "logged-out-in-tab" }
>;

interface Message {
  /** Null: who has a token that is still good, tell it. */
  readonly event: TabEvent | null;
  /** The sender's clock, in ms. */
  readonly at: number;
}

export interface Tabs {
  readonly open: (hear: (event: TabEvent | null) => void) => void;
  readonly close: () => void;
  readonly tell: (event: TabEvent | null) => void;
  /** Asks the others for their token, and returns once one of them has `answered`, or none has in time. */
  readonly ask: (answered: () => boolean) => Promise<void>;
  /** Runs `work` while no other tab runs its own; after `waitMs` without asking any longer. */
  readonly locked: <T>(waitMs: number, work: () => Promise<T>) => Promise<T>;
}

export function createTabs(host: Host, name: string): Tabs {
  let channel: Channel | null = null;
  let heard = (): void => {};

  function tell(event: TabEvent | null): void {
    channel?.postMessage({ event, at: host.now() } satisfies Message);
  }

  return {
    tell,

    open(hear) {
      channel = host.channel(`${name}:1`);
      if (!channel) return;
      channel.onmessage = ({ data }) => {
        const { event, at } = data as Message;
        const isToken = event && "token" in event;
        hear(isToken ? { ...event, token: moved(event.token, host.now() - at) } : event);
        heard();
      };
    },

    close() {
      channel?.close();
      channel = null;
    },

    ask: (answered) =>
      new Promise((go) => {
        if (!channel) return go();
        const giveUp = host.after(ANSWER_MS, go);
        heard = () => {
          if (!answered()) return;
          giveUp();
          go();
        };
        tell(null);
      }),

    async locked(waitMs, work) {
      const locks = host.locks();
      if (!locks) return work();
      const patience = new AbortController();
      const calm = host.after(waitMs, () => patience.abort());
      let working: ReturnType<typeof work> | null = null;
      try {
        return await locks.request(name, { signal: patience.signal }, () => {
          calm();
          working = work();
          return working;
        });
      } catch {
        return await (working ?? work()); // a frozen tab keeps its lock: go on without it
      }
    },
  };
}
