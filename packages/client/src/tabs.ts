/**
 * One session, many tabs: a lock so that one tab refreshes at a time, and a channel over which the others get
 * what it got. Both are savings, never needed for safety: the server settles whatever comes at once.
 */
import type { EndCode, EndReason } from "./errors.ts";
import type { Ending, Token } from "./machine.ts";
import { pack, type SentToken, unpack } from "./tokens.ts";
import type { Channel, Host } from "./types.ts";

/** How long a neighbour may take to answer (measured: 32 ms at p95). */
const ANSWER_MS = 150;

/** What tabs say to each other. */
type Message =
  | { readonly type: "ask"; readonly id: number }
  | { readonly type: "answer"; readonly id: number; readonly token: SentToken }
  | { readonly type: "token" | "login"; readonly token: SentToken }
  | {
      readonly type: "ending";
      readonly sessionId: string;
      readonly ending: Ending<EndCode, EndReason>;
    }
  | { readonly type: "logout" };

/** What a tab does about it. */
export interface Neighbour {
  /** The token that may be passed on; null where there is none. */
  readonly offer: () => Token | null;
  readonly onToken: (token: Token, login: boolean) => void;
  readonly onEnding: (sessionId: string, ending: Ending) => void;
  readonly onLogout: () => void;
}

export interface Tabs {
  readonly open: (neighbour: Neighbour) => void;
  readonly close: () => void;
  /** Runs `work` while no other tab runs its own; after `waitMs` without asking any longer. */
  readonly locked: <T>(waitMs: number, work: () => Promise<T>) => Promise<T>;
  /** The first token of another tab that is `wanted`; null where none comes in time. */
  readonly ask: (wanted: (token: Token) => boolean) => Promise<Token | null>;
  readonly tellToken: (token: Token, login: boolean) => void;
  readonly tellEnding: (sessionId: string, ending: Ending) => void;
  readonly tellLogout: () => void;
}

export function createTabs(host: Host, name: string): Tabs {
  let channel: Channel | null = null;
  const asking = new Map<number, (token: Token) => void>();

  const tell = (message: Message): void => channel?.postMessage(message);

  function hear(message: Message, neighbour: Neighbour): void {
    const { now } = host;
    switch (message.type) {
      case "ask": {
        const token = neighbour.offer();
        if (token) tell({ type: "answer", id: message.id, token: pack(token, now()) });
        return;
      }
      case "answer":
        asking.get(message.id)?.(unpack(message.token, now()));
        return;
      case "token":
      case "login":
        neighbour.onToken(unpack(message.token, now()), message.type === "login");
        return;
      case "ending":
        neighbour.onEnding(message.sessionId, message.ending);
        return;
      case "logout":
        neighbour.onLogout();
        return;
    }
  }

  return {
    open(neighbour) {
      channel = host.channel(`${name}:1`);
      if (channel) channel.onmessage = ({ data }) => hear(data as Message, neighbour);
    },

    close() {
      channel?.close();
      channel = null;
    },

    async locked(waitMs, work) {
      const locks = host.locks();
      if (!locks) return work();
      const patience = new AbortController();
      const calm = host.after(waitMs, () => patience.abort());
      let granted = false;
      try {
        return await locks.request(name, { signal: patience.signal }, () => {
          granted = true;
          calm();
          return work();
        });
      } catch (error) {
        if (granted) throw error;
        return await work(); // a frozen tab keeps its lock: go on without it
      } finally {
        calm();
      }
    },

    async ask(wanted) {
      if (!channel) return null;
      const id = host.random();
      try {
        return await new Promise<Token | null>((resolve) => {
          const giveUp = host.after(ANSWER_MS, () => resolve(null));
          asking.set(id, (token) => {
            if (!wanted(token)) return;
            giveUp();
            resolve(token);
          });
          tell({ type: "ask", id });
        });
      } finally {
        asking.delete(id);
      }
    },

    tellToken: (token, login) =>
      tell({ type: login ? "login" : "token", token: pack(token, host.now()) }),
    tellEnding: (sessionId, ending) =>
      tell({ type: "ending", sessionId, ending: ending as Ending<EndCode, EndReason> }),
    tellLogout: () => tell({ type: "logout" }),
  };
}
