/**
 * The server's half of the Lab, and requests that the Lab watches. With `fetch`, which can be watched;
 * apart from the other routes: only the Lab's page loads it.
 */
import type { SessionStatus } from "@batonpass/client";
import { createFetch } from "@batonpass/client/fetch";
import { session } from "./session.ts";

/** What the server decided about a refresh, or answered to a request; never a token. */
export interface Answer {
  readonly status: number;
  readonly code: string | null;
  readonly generation: number | null;
}

const REFRESH = "/auth/refresh";
const LOSSY_REFRESH = "/lab/api/lost";

/** Copies this browser's refresh cookie; returns the copy's name. */
export async function stealToken(): Promise<string> {
  return (await json(await post("/lab/api/copies"))).name as string;
}

/** Presents a copy as a thief would, from another device. */
export async function presentStolen(name: string): Promise<Answer> {
  return answerIn(await json(await post(`/lab/api/copies/${encodeURIComponent(name)}`)));
}

/** Ages this session by an hour. With a token in hand: while a refresh is under way nobody gives one out. */
export async function letAnHourPass(token: string): Promise<void> {
  await post("/lab/api/hours", { Authorization: `Bearer ${token}` });
}

export interface Wire {
  /** Asks for the account, with the session's token. Rejects where the session lets nobody through. */
  readonly ask: () => Promise<void>;
  /** From now on this access token reaches the server damaged. */
  readonly spoil: (token: string) => void;
  /** The next refresh is decided, and its answer never arrives; `meanwhile` is over before anybody asks again. */
  readonly loseNext: (meanwhile?: () => Promise<void>) => void;
  readonly remove: () => void;
}

export interface Listener {
  /** `presented`: the generation of the token that the browser had by then. */
  readonly refreshed: (presented: number | null, answer: Answer, lost: boolean) => void;
  readonly asked: (answer: Answer) => void;
}

/** Stands between this page and the network: hears every refresh, and does it harm when told to. */
export function tapWire(listener: Listener): Wire {
  const original = window.fetch;
  const real: typeof fetch = (...request) => original.apply(window, request);
  let spoilt: string | null = null;
  let losing: (() => Promise<void>) | null = null;

  window.fetch = async (input, init) => {
    const url = URL.parse(input instanceof Request ? input.url : String(input), location.href);
    if (url?.pathname !== REFRESH) return real(input, init);
    const meanwhile = losing;
    losing = null;
    const presented = generationNow();
    const response = await real(meanwhile ? LOSSY_REFRESH : input, init);
    const answer = answerIn(await json(response.clone()));
    if (meanwhile) {
      listener.refreshed(presented, answer, true);
      await meanwhile();
      throw new TypeError("The Lab lost this answer.");
    }
    listener.refreshed(presented, { ...answer, status: response.status }, false);
    return response;
  };

  const authorized = createFetch(session, async (input, init) => {
    const request = new Request(input, init);
    if (spoilt !== null && request.headers.get("Authorization") === `Bearer ${spoilt}`) {
      request.headers.set("Authorization", `Bearer ${damaged(spoilt)}`);
    }
    const response = await real(request);
    listener.asked({ ...answerIn(await json(response.clone())), status: response.status });
    return response;
  });

  return {
    async ask() {
      await authorized("/auth/me", { cache: "no-store" });
    },
    spoil(token) {
      spoilt = token;
    },
    loseNext(meanwhile = async () => {}) {
      losing = meanwhile;
    },
    remove() {
      window.fetch = original;
    },
  };
}

/** The same head and content under a signature that is none. */
const damaged = (token: string): string => `${token.slice(0, token.lastIndexOf("."))}.spoilt`;

/** The generation that the readable cookie names; null where there is none. */
export function generationNow(): number | null {
  const found = /session_state=[\w-]+\.(\d+)/.exec(document.cookie);
  return found ? Number(found[1]) : null;
}

/** Whether this page has signed in by a refresh of its own since it was loaded. */
export const hasRefreshed = (): boolean =>
  performance.getEntriesByType("resource").some(({ name }) => new URL(name).pathname === REFRESH);

/** Resolves once the session is in one of these states. */
export function until(...wanted: readonly SessionStatus[]): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (!wanted.includes(session.getSnapshot().status)) return;
      unsubscribe();
      resolve();
    };
    const unsubscribe = session.subscribe(look);
    look();
  });
}

async function post(
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  const response = await fetch(path, { method: "POST", cache: "no-store", headers });
  if (!response.ok) throw new Error(`The Lab's server answered ${response.status}.`);
  return response;
}

const json = async (response: Response): Promise<Readonly<Record<string, unknown>>> =>
  response.json().catch(() => ({}));

const answerIn = ({ status, code, generation }: Readonly<Record<string, unknown>>): Answer => ({
  status: Number(status),
  code: typeof code === "string" ? code : null,
  generation: typeof generation === "number" ? generation : null,
});
