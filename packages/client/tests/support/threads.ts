/**
 * One browser whose tabs are threads, and the network between it and the model server. Nothing moves by itself:
 * each request, each answer and each step of the clock waits to be let go on.
 */
import { Worker } from "node:worker_threads";
import type { SessionSnapshot } from "../../src/types.ts";
import type { FromTab, On, ToTab, Wish } from "./messages.ts";
import type { Question, Reply } from "./model.ts";
import { type Jar, type Shared, share } from "./shared.ts";

/** One request, from the tab to the server and back. */
export interface Exchange extends Question {
  readonly id: number;
  readonly tab: number;
  readonly page: number;
  readonly leftAt: number;
  readonly holdsLock: boolean;
  /** Undefined: the server has not got it yet. */
  reply?: Reply;
  /** The tab no longer waits for it: no cookie of the answer is stored. */
  aborted: boolean;
}

/** A promise that the client has made: a request, a login, a logout, a page's `ready()`. */
export interface Job {
  readonly id: number;
  readonly what: string;
  readonly tab: number;
  readonly page: number;
  how: string | null;
}

export interface Thread {
  readonly tab: number;
  /** The page that it shows; null: closed. */
  page: number | null;
  snapshot: SessionSnapshot;
  isImpatient: boolean;
}

export interface Seen {
  readonly left: (exchange: Exchange) => void;
  readonly changed: (thread: Thread) => void;
}

export interface Threads {
  readonly shared: Shared;
  readonly threads: readonly Thread[];
  readonly exchanges: Exchange[];
  readonly jobs: Job[];
  online: boolean;
  /** A browser in which no page is open; `seen` is told what happens there. */
  readonly begin: (seen: Seen) => Promise<void>;
  readonly open: (tab: number) => void;
  readonly close: (tab: number) => void;
  readonly ask: (tab: number, what: Wish, user?: string) => Job | null;
  readonly wake: (tab: number, what: "online" | "visible" | "restored") => void;
  readonly freeze: (tab: number) => void;
  readonly thaw: (tab: number) => void;
  /** The answer gets through, or (null) never does. */
  readonly deliver: (exchange: Exchange, reply: Reply | null) => void;
  readonly advance: (ms: number) => void;
  /**
   * Until nothing moves any more: a round in which each tab's event loop has turned and nobody stirred.
   * Whoever sends something stirs, and it has arrived by the end of the round after.
   */
  readonly rest: () => Promise<void>;
  readonly end: () => Promise<void>;
}

const BOOTING: SessionSnapshot = { status: "booting", userId: null };

export function startThreads(count: number): Threads {
  const shared = share();
  const pongs = new Map<number, () => void>();
  /**
   * Who holds the lock, and behind him who waits. Not Node's own Web Locks: with waiters in two threads their
   * event loops keep waking each other and never turn (Node 24.19, `LockManager::ProcessQueue`).
   */
  const queue: { readonly tab: number; readonly id: number }[] = [];
  let pages = 0;
  let runs = 0;
  let seen: Seen = { left: () => {}, changed: () => {} };

  const workers = Array.from({ length: count }, (_, tab) => {
    const workerData = { tab, buffer: shared.buffer };
    // What the session warns of on the console is no news here: its streams are left unread.
    const unread = { stdout: true, stderr: true };
    return new Worker(new URL("./tab.ts", import.meta.url), { workerData, ...unread });
  });
  const tell = (tab: number, order: ToTab): void => {
    workers[tab]?.postMessage(order);
  };

  const hear = (thread: Thread): On<FromTab, "saw"> => ({
    fetch(message) {
      const { tab } = thread;
      const cookie = shared.jar().refresh_token ?? null;
      const exchange = { ...message, tab, cookie, leftAt: shared.now(), aborted: false };
      if (browser.online) {
        browser.exchanges.push(exchange);
        seen.left(exchange);
      } else tell(tab, { do: "answer", id: message.id, reply: null });
    },
    abort({ id }) {
      const isIt = (exchange: Exchange) => exchange.tab === thread.tab && exchange.id === id;
      for (const exchange of browser.exchanges.filter(isIt)) exchange.aborted = true;
    },
    snapshot({ page, snapshot }) {
      if (page !== thread.page) return;
      thread.snapshot = snapshot;
      seen.changed(thread);
    },
    settled({ job, how }) {
      const at = browser.jobs[job];
      if (at) at.how = how;
    },
    lock({ id }) {
      queue.push({ tab: thread.tab, id });
      if (queue.length === 1) tell(thread.tab, { do: "grant", id });
    },
    unlock({ id }) {
      const at = queue.findIndex((each) => each.tab === thread.tab && each.id === id);
      if (at >= 0) queue.splice(at, 1);
      const [next] = queue;
      if (at === 0 && next) tell(next.tab, { do: "grant", id: next.id });
    },
    impatient() {
      thread.isImpatient = true;
    },
    pong: () => pongs.get(thread.tab)?.(),
  });

  function promise(tab: number, what: string): Job {
    const { page } = browser.threads[tab] as Thread;
    const job = { id: browser.jobs.length, what, tab, page: page ?? 0, how: null };
    browser.jobs.push(job);
    return job;
  }

  const awake = (): number[] =>
    browser.threads.map(({ tab }) => tab).filter((tab) => !shared.isFrozen(tab));

  const ping = (tab: number): Promise<void> =>
    new Promise((done) => {
      pongs.set(tab, done);
      tell(tab, { do: "ping" });
    });

  const browser: Threads = {
    shared,
    threads: workers.map((_, tab) => ({
      tab,
      page: null,
      snapshot: BOOTING,
      isImpatient: false,
    })),
    exchanges: [],
    jobs: [],
    online: true,

    async begin(by) {
      for (const { tab } of browser.threads) {
        browser.thaw(tab);
        browser.close(tab);
      }
      await browser.rest();
      runs += 1;
      seen = by;
      browser.online = true;
      browser.exchanges.splice(0);
      browser.jobs.splice(0);
      shared.change(() => ({}));
      shared.setNow(0);
    },

    open(tab) {
      const thread = browser.threads[tab];
      if (!thread || thread.page !== null) return;
      pages += 1;
      Object.assign(thread, { page: pages, snapshot: BOOTING, isImpatient: false });
      const { id: job } = promise(tab, "ready");
      tell(tab, { do: "open", prefix: `run-${process.pid}-${runs}:`, page: pages, job });
    },

    close(tab) {
      const thread = browser.threads[tab];
      if (!thread || thread.page === null) return;
      thread.page = null;
      tell(tab, { do: "close" });
    },

    ask(tab, what, user = "") {
      if (browser.threads[tab]?.page === null) return null;
      const job = promise(tab, what);
      tell(tab, { do: what, user, job: job.id });
      return job;
    },

    wake: (tab, what) => tell(tab, { do: "wake", what }),

    freeze(tab) {
      shared.freeze(tab);
      tell(tab, { do: "freeze" });
    },

    thaw: (tab) => shared.thaw(tab),

    deliver(exchange, reply) {
      const at = browser.exchanges.indexOf(exchange);
      if (at >= 0) browser.exchanges.splice(at, 1);
      const { id, tab, aborted } = exchange;
      if (aborted) return;
      if (reply?.cookies) shared.change((jar) => store(jar, reply.cookies ?? {}));
      tell(tab, { do: "answer", id, reply });
    },

    advance(ms) {
      shared.setNow(shared.now() + ms);
      for (const { tab } of browser.threads) tell(tab, { do: "tick" });
    },

    async rest() {
      let before: number;
      do {
        before = shared.stirred();
        await Promise.all(awake().map(ping));
      } while (shared.stirred() !== before);
    },

    async end() {
      for (const { tab } of browser.threads) browser.thaw(tab);
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
  for (const thread of browser.threads) {
    const on = hear(thread);
    workers[thread.tab]?.on("message", (message: FromTab) => {
      (on[message.saw] as (message: FromTab) => void)(message);
    });
  }
  return browser;
}

function store(jar: Jar, cookies: Readonly<Record<string, string | null>>): Jar {
  const all = Object.entries({ ...jar, ...cookies });
  return Object.fromEntries(all.filter((pair): pair is [string, string] => pair[1] !== null));
}
