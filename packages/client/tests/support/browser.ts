/**
 * A browser as far as a session sees one: a cookie jar that its tabs share, with Node's real Web Locks,
 * BroadcastChannel and fetch between them.
 */
import axios, { type AxiosInstance } from "axios";
import { attach } from "../../src/axios.ts";
import { createSession } from "../../src/session.ts";
import type { TabEvent } from "../../src/tabs.ts";
import type { Host, Session, SessionOptions } from "../../src/types.ts";
import { type Clock, createClock } from "./clock.ts";
import type { Server } from "./server.ts";

type What = "online" | "visible" | "restored";

export interface Tab {
  readonly session: Session;
  readonly api: AxiosInstance;
  readonly clock: Clock;
  /** The browser tells the page. */
  readonly tell: (what: What) => void;
  readonly close: () => void;
}

export interface Browser {
  readonly jar: Map<string, string>;
  online: boolean;
  /** What a tab of an earlier moment tells the others. */
  readonly say: (event: TabEvent) => void;
  readonly open: (options?: SessionOptions) => Tab;
  /** A page whose session nobody has started. */
  readonly openStopped: (options?: SessionOptions) => Omit<Tab, "close">;
  readonly close: () => void;
}

/** Lock and channel names that no other test's browser shares. */
let browsers = 0;

export function startBrowser(server: Server): Browser {
  browsers += 1;
  const prefix = `browser-${process.pid}-${browsers}:`;
  const jar = new Map<string, string>();
  const tabs = new Set<Tab>();

  function keep(cookie: string): void {
    const [pair = "", ...attributes] = cookie.split("; ");
    const [name = "", value = ""] = pair.split("=");
    if (attributes.includes("Max-Age=0")) jar.delete(name);
    else jar.set(name, value);
  }

  const fetchWithJar: Host["fetch"] = async (url, init) => {
    if (!browser.online) throw new TypeError("Failed to fetch");
    const headers = new Headers(init.headers);
    headers.set("cookie", [...jar].map((pair) => pair.join("=")).join("; "));
    const response = await fetch(new URL(url, server.origin), { ...init, headers });
    for (const cookie of response.headers.getSetCookie()) keep(cookie);
    return response;
  };

  const browser: Browser = {
    jar,
    online: true,

    say(event) {
      const channel = new BroadcastChannel(`${prefix}batonpass:/auth:1`);
      channel.postMessage({ event, at: performance.now() });
      setTimeout(() => channel.close(), 50);
    },

    open(options) {
      const page = browser.openStopped(options);
      const stop = page.session.start();
      const tab: Tab = {
        ...page,
        close() {
          stop();
          tabs.delete(tab);
        },
      };
      tabs.add(tab);
      return tab;
    },

    openStopped(options = {}) {
      const clock = createClock();
      const listeners = new Set<(what: What) => void>();
      const host: Partial<Host> = {
        ...clock,
        fetch: fetchWithJar,
        readCookies: () =>
          [...jar]
            .filter(([name]) => !name.includes("refresh"))
            .map((pair) => pair.join("="))
            .join("; "),
        writeCookie: keep,
        locks: () => ({
          request: (name: string, ...rest: unknown[]) =>
            Reflect.apply(navigator.locks.request, navigator.locks, [prefix + name, ...rest]),
        }),
        channel: (name) => new BroadcastChannel(prefix + name),
        location: () => ({ href: `${server.origin}/inbox?page=2`, origin: server.origin }),
        listen(listener) {
          listeners.add(listener);
          return () => listeners.delete(listener);
        },
        ...options.host,
      };
      const session = createSession({ ...options, host });
      return {
        session,
        api: attach(axios.create({ baseURL: server.origin, proxy: false }), session),
        clock,
        tell: (what) => {
          for (const listener of listeners) listener(what);
        },
      };
    },

    close() {
      for (const tab of tabs) tab.close();
    },
  };
  return browser;
}
