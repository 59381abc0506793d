/** What the main thread tells a tab's thread, and what that has seen. Types only. */
import type { SessionSnapshot } from "../../src/types.ts";
import type { Reply } from "./model.ts";

/** What a user does in a tab. */
export type Wish = "request" | "login" | "logout";

export type ToTab =
  | { readonly do: "open"; readonly prefix: string; readonly page: number; readonly job: number }
  | { readonly do: "close" }
  | { readonly do: "freeze" }
  /** The lock is this request's. */
  | { readonly do: "grant"; readonly id: number }
  /** The clock has moved. */
  | { readonly do: "tick" }
  | { readonly do: "ping" }
  | { readonly do: Wish; readonly user: string; readonly job: number }
  | { readonly do: "wake"; readonly what: "online" | "visible" | "restored" }
  /** Null: no answer will come. */
  | { readonly do: "answer"; readonly id: number; readonly reply: Reply | null };

export type FromTab =
  | {
      readonly saw: "fetch";
      readonly id: number;
      readonly page: number;
      readonly path: string;
      readonly bearer: string | null;
      readonly body: string;
      readonly holdsLock: boolean;
    }
  | { readonly saw: "abort"; readonly id: number }
  | { readonly saw: "snapshot"; readonly page: number; readonly snapshot: SessionSnapshot }
  | { readonly saw: "settled"; readonly job: number; readonly how: string }
  | { readonly saw: "lock"; readonly id: number }
  /** Freed, or no longer waited for. */
  | { readonly saw: "unlock"; readonly id: number }
  /** It has waited for the lock for too long and goes on without it. */
  | { readonly saw: "impatient" }
  | { readonly saw: "pong" };

/** What to do about each kind of message. */
export type On<Message, Key extends keyof Message> = {
  readonly [Kind in Message[Key] & string]: (
    message: Extract<Message, { readonly [_ in Key]: Kind }>,
  ) => void;
};
