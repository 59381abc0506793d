/**
 * What stays open longer than a token lives: server-sent events and WebSockets. A connection that is lost is
 * made again, with the token of that time; it ends for good with its user's session.
 *
 * The token goes in a header, a first message or a subprotocol: never in an address, which logs keep
 * (RFC 6750 §2.3; S-CSRF-7).
 */
import { codeIn } from "./attempts.ts";
import { SessionUnavailableError } from "./errors.ts";
import { createStreamReader } from "./event-stream.ts";
import { BROWSER } from "./host.ts";
import type { Host, Refusal, Session } from "./types.ts";

/** 1, 2, 4 … 30 s between tries, spread so that not all come at once when the server is back. */
const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 30_000;
const SPREAD = 0.5;

/** How a server says that the token is no good: IANA's "Unauthorized", "policy violation", and the custom. */
const REFUSALS: ReadonlySet<number> = new Set([3000, 1008, 4401]);

const NORMAL_CLOSURE = 1000;

/**
 * An EventTarget. `open` and `message` (or the name of a server-sent event) may come again and again;
 * `close` comes once, at the end: by `close()`, by the server's wish, or since another is signed in, or nobody.
 */
export interface Live extends EventTarget {
  readonly close: () => void;
}

export interface LiveSocket extends Live {
  /** False where there is no connection just now: nothing is kept for later. */
  readonly send: (data: string | Blob | BufferSource) => boolean;
}

export interface LiveOptions {
  /** For tests and unusual hosts. Default: the browser's. */
  readonly host?: Partial<Host>;
}

export interface SocketOptions extends LiveOptions {
  /**
   * How the token gets there. `"message"` (default): the first message is `{"type":"authenticate","token":…}`.
   * `"subprotocol"`: the client offers `bearer` and the token; the server must choose `bearer`.
   */
  readonly tokenIn?: "message" | "subprotocol";
  readonly protocols?: readonly string[];
}

/** How a connection ended. */
type End =
  | { readonly type: "lost"; readonly retryInMs: number | null }
  | { readonly type: "refused"; readonly code: string | null }
  /** The server wants no more. */
  | { readonly type: "over" };

const LOST: End = { type: "lost", retryInMs: null };

type Connect = (token: string | null, signal: AbortSignal, accepted: () => void) => Promise<End>;

/** Server-sent events from a route of ours, as the browser's EventSource gives them, but with the token. */
export function eventSource(session: Session, url: string, options: LiveOptions = {}): Live {
  const host: Host = { ...BROWSER, ...options.host };
  const target = new EventTarget();
  const reader = createStreamReader((type, data, lastEventId) =>
    target.dispatchEvent(new MessageEvent(type, { data, lastEventId })),
  );

  async function connect(
    token: string | null,
    signal: AbortSignal,
    accepted: () => void,
  ): Promise<End> {
    const headers = new Headers({ Accept: "text/event-stream" });
    if (token !== null) headers.set("Authorization", `Bearer ${token}`);
    if (reader.lastEventId()) headers.set("Last-Event-ID", reader.lastEventId());
    const response = await host.fetch(url, { headers, signal, cache: "no-store" });
    if (response.status !== 200 || !response.body) return endOf(response);
    accepted();
    target.dispatchEvent(new Event("open"));
    const texts = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let piece = await texts.read(); !piece.done; piece = await texts.read()) {
      reader.read(piece.value);
    }
    return { type: "lost", retryInMs: reader.retryInMs() };
  }

  return keepConnected(session, url, host, target, (...attempt) =>
    connect(...attempt).catch(() => LOST),
  );
}

async function endOf(response: Response): Promise<End> {
  const { status, headers } = response;
  const text = await response.text();
  if (status === 401) return { type: "refused", code: codeIn(text) };
  const isPassing = status >= 500 || status === 429 || status === 408;
  return isPassing
    ? { type: "lost", retryInMs: Number(headers.get("Retry-After")) * 1_000 || null }
    : { type: "over" };
}

/** A WebSocket to a route of ours. */
export function webSocket(session: Session, url: string, options: SocketOptions = {}): LiveSocket {
  const host: Host = { ...BROWSER, ...options.host };
  const { tokenIn = "message", protocols = [] } = options;
  const target = new EventTarget();
  let open: WebSocket | null = null;

  const connect: Connect = (token, signal, accepted) =>
    new Promise((resolve) => {
      const bearer = tokenIn === "subprotocol" && token !== null ? ["bearer", token] : [];
      const socket = new WebSocket(url, [...protocols, ...bearer]);
      const close = (): void => socket.close();
      signal.addEventListener("abort", close);
      socket.addEventListener("open", () => {
        open = socket;
        if (tokenIn === "message" && token !== null) {
          socket.send(JSON.stringify({ type: "authenticate", token }));
        }
        target.dispatchEvent(new Event("open"));
      });
      socket.addEventListener("message", ({ data }) => {
        accepted();
        target.dispatchEvent(new MessageEvent("message", { data }));
      });
      socket.addEventListener("close", ({ code, reason }) => {
        open = null;
        signal.removeEventListener("abort", close);
        if (code === NORMAL_CLOSURE) resolve({ type: "over" });
        else resolve(REFUSALS.has(code) ? { type: "refused", code: reason || null } : LOST);
      });
    });

  return Object.assign(keepConnected(session, url.replace(/^ws/, "http"), host, target, connect), {
    send(data: Parameters<LiveSocket["send"]>[0]) {
      open?.send(data);
      return open !== null;
    },
  });
}

function keepConnected(
  session: Session,
  url: string,
  host: Host,
  target: EventTarget,
  connect: Connect,
): Live {
  if (!session.covers(url)) throw new TypeError(`The session's token may not go to ${url}.`);
  const closing = new AbortController();
  const { signal } = closing;
  let hurry = (): void => {};

  function close(): void {
    closing.abort();
    hurry();
  }

  const pause = (ms: number): Promise<void> =>
    new Promise((go) => {
      if (signal.aborted) return go();
      const cancel = host.after(ms * (1 + host.random() * SPREAD), go);
      hurry = () => {
        cancel();
        go();
      };
    });

  let refusal: Refusal | null = null;
  let failures = 0;

  const accepted = (): void => {
    refusal = null;
    failures = 0;
  };

  /** One connection, from its token to its end; false: there is to be no other. */
  async function connectOnce(): Promise<boolean> {
    const token = await nextToken();
    if (token === undefined) return false;
    const end = await connect(token, signal, accepted);
    if (end.type === "lost") await pause(Math.max(backoff(), end.retryInMs ?? 0));
    if (end.type === "refused" && refusal && token) session.refusedAgain(token);
    const goesOn = end.type === "lost" || (end.type === "refused" && !refusal);
    refusal = end.type === "refused" ? { sentWith: token, code: end.code } : null;
    return goesOn;
  }

  /** Undefined: the last one was refused, and it was not the token's fault. */
  async function nextToken(): Promise<string | null | undefined> {
    if (!refusal) return session.token({ minLife: true, signal });
    return (await session.refused(refusal, signal)) ?? undefined;
  }

  function backoff(): number {
    failures += 1;
    return Math.min(FIRST_RETRY_MS * 2 ** (failures - 1), LAST_RETRY_MS);
  }

  /** Whatever the session says, until it is over: the server being away is no end. */
  async function persist(): Promise<void> {
    while (!signal.aborted) {
      try {
        if (!(await connectOnce())) return;
      } catch (error) {
        if (!(error instanceof SessionUnavailableError)) return;
        await pause(Math.max(error.retryInMs, FIRST_RETRY_MS));
      }
    }
  }

  const stops = [
    session.on("user-changed", close),
    session.on("expired", close),
    host.listen(() => hurry()),
  ];
  void persist().then(() => {
    for (const stop of stops) stop();
    target.dispatchEvent(new Event("close"));
  });
  return Object.assign(target, { close });
}
