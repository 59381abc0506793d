/**
 * A tab in a thread of its own: the real session on a real BroadcastChannel. Its clock and its cookies are the
 * browser's (`shared.ts`); requests go to the main thread, which plays the network, and grants the lock.
 */
import { parentPort, workerData } from "node:worker_threads";
import { createFetch } from "../../src/fetch.ts";
import { createSession } from "../../src/session.ts";
import type { Host, Session } from "../../src/types.ts";
import type { FromTab, On, ToTab, Wish } from "./messages.ts";
import { type Jar, share } from "./shared.ts";

const { tab, buffer } = workerData as { tab: number; buffer: SharedArrayBuffer };
const shared = share(buffer);
const HREF = "https://app.example/inbox";
const ORIGIN = "https://app.example";

function say(message: FromTab): void {
  shared.stir();
  parentPort?.postMessage(message);
}

/** Requests under way, of this page and of those before it. */
const asked = new Map<number, (response: Response | null) => void>();
/** Requests for the lock that have not got it yet. */
const granted = new Map<number, () => void>();
let asks = 0;

/** The main thread grants the lock, in the order of asking; returns what frees it. */
function lock(signals: AbortSignal[]): Promise<() => void> {
  asks += 1;
  const id = asks;
  const free = (): void => say({ saw: "unlock", id });
  const waited = AbortSignal.any(signals);
  return new Promise((resolve, reject) => {
    granted.set(id, () => resolve(free));
    waited.addEventListener("abort", () => {
      if (!granted.delete(id)) return;
      free();
      say({ saw: "impatient" });
      reject(waited.reason);
    });
    say({ saw: "lock", id });
  });
}

interface Page {
  readonly session: Session;
  readonly request: typeof fetch;
  readonly tell: (what: "online" | "visible" | "restored") => void;
  readonly tick: () => void;
  readonly close: () => void;
}

let page: Page | null = null;

function openPage(prefix: string, number: number): Page {
  const closing = new AbortController();
  const { signal: closed } = closing;
  const gone = new Promise<void>((go) => closed.addEventListener("abort", () => go()));
  const timers = new Map<() => void, number>();
  const listeners = new Set<(what: "online" | "visible" | "restored") => void>();
  let holdsLock = false;

  const publish = (): void => shared.setDue(tab, Math.min(...timers.values()));

  const ask = (url: string, headers: Headers, body: string, signal?: AbortSignal | null) =>
    new Promise<Response>((resolve, reject) => {
      if (closed.aborted) return;
      if (signal?.aborted) return reject(signal.reason);
      asks += 1;
      const id = asks;
      asked.set(id, (response) => {
        if (closed.aborted) return;
        if (response) resolve(response);
        else reject(new TypeError("Failed to fetch"));
      });
      signal?.addEventListener("abort", () => {
        if (asked.delete(id)) say({ saw: "abort", id });
        reject(signal.reason);
      });
      const path = new URL(url, HREF).pathname;
      const bearer = headers.get("Authorization")?.replace("Bearer ", "") ?? null;
      say({ saw: "fetch", id, page: number, path, bearer, body, holdsLock });
    });

  const host: Host = {
    fetch: (url, init) => ask(url, new Headers(init.headers), String(init.body ?? ""), init.signal),
    now: shared.now,
    after(ms, callback) {
      if (closed.aborted) return () => {};
      const fire = (): void => callback();
      timers.set(fire, shared.now() + ms);
      publish();
      return () => {
        timers.delete(fire);
        publish();
      };
    },
    random: () => 0.5,
    readCookies() {
      const { session_state: value } = shared.jar();
      return value === undefined ? "" : `session_state=${value}`;
    },
    writeCookie(cookie) {
      const [, value = ""] = /^session_state=([^;]*)/.exec(cookie) ?? [];
      if (!closed.aborted) shared.change((jar: Jar) => ({ ...jar, session_state: value }));
    },
    locks: () =>
      ({
        async request(_: string, { signal }: LockOptions, work: () => Promise<unknown>) {
          const free = await lock([closed, ...(signal ? [signal] : [])]);
          holdsLock = true;
          try {
            return await Promise.race([work(), gone]); // the browser frees a gone page's lock
          } finally {
            holdsLock = false;
            free();
          }
        },
      }) as Pick<LockManager, "request">,
    channel(name) {
      const channel = new BroadcastChannel(prefix + name);
      closed.addEventListener("abort", () => channel.close());
      return {
        set onmessage(hear: (event: MessageEvent) => void) {
          channel.onmessage = (event) => {
            shared.stir();
            if (!closed.aborted) hear(event as MessageEvent);
          };
        },
        postMessage(message) {
          shared.stir();
          if (!closed.aborted) channel.postMessage(message);
        },
        close: () => channel.close(),
      };
    },
    location: () => ({ href: HREF, origin: ORIGIN }),
    isHidden: () => false,
    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };

  const session = createSession({ host });
  const report = (): void => {
    if (!closed.aborted) say({ saw: "snapshot", page: number, snapshot: session.getSnapshot() });
  };
  session.subscribe(report);
  session.start();
  return {
    session,
    request: createFetch(session, (request) => {
      const { url, headers, signal } = request as Request;
      return ask(url, headers, "", signal);
    }),
    tell: (what) => {
      for (const listener of listeners) listener(what);
    },
    tick() {
      const due = [...timers].filter(([, at]) => at <= shared.now()).sort(([, a], [, b]) => a - b);
      for (const [fire] of due) if (timers.delete(fire)) fire();
      publish();
    },
    close() {
      closing.abort();
      timers.clear();
      publish();
    },
  };
}

/** Says how it came out; of a page that is closed meanwhile nobody hears. */
function follow(work: Promise<unknown>, job: number): void {
  const asking = page;
  const done = (how: string): void => {
    if (page === asking) say({ saw: "settled", job, how });
  };
  work.then(
    (value) => done(value instanceof Response ? String(value.status) : "done"),
    (error: Error & { code?: string }) => done(`${error.name} ${error.code ?? ""}`.trim()),
  );
}

function fulfil({ session, request }: Page, what: Wish, user: string): Promise<unknown> {
  switch (what) {
    case "request":
      return request(`${ORIGIN}/api/items`);
    case "login":
      return session.login({ email: user, password: "secret" });
    default:
      what satisfies "logout";
      return session.logout();
  }
}

/** A user's wish; a closed page grants none. */
function wish({ do: what, user, job }: Extract<ToTab, { readonly do: Wish }>): void {
  if (page) follow(fulfil(page, what, user), job);
}

const obey: On<ToTab, "do"> = {
  open(order) {
    page = openPage(order.prefix, order.page);
    follow(page.session.ready(), order.job);
  },
  close() {
    page?.close();
    page = null;
  },
  request: wish,
  login: wish,
  logout: wish,
  wake: ({ what }) => page?.tell(what),
  answer({ id, reply }) {
    const respond = asked.get(id);
    asked.delete(id);
    const headers = { "content-type": "application/json" };
    const body = reply?.json === undefined ? null : JSON.stringify(reply.json);
    respond?.(reply && new Response(body, { status: reply.status, headers }));
  },
  grant({ id }) {
    const begin = granted.get(id);
    granted.delete(id);
    begin?.();
  },
  tick: () => page?.tick(),
  freeze: () => shared.sleep(tab),
  // Two turns: whatever had arrived before has been heard, and answered, by then.
  ping: () => setImmediate(() => setImmediate(() => parentPort?.postMessage({ saw: "pong" }))),
};

shared.setDue(tab, Number.POSITIVE_INFINITY);
parentPort?.on("message", (order: ToTab) => {
  if (order.do !== "ping") shared.stir();
  (obey[order.do] as (order: ToTab) => void)(order);
});
