/**
 * The world as a browser offers it. Nothing is touched before it is used: a server may import this file.
 */
import type { Host } from "./types.ts";

export const BROWSER: Host = {
  fetch: (url, init) => fetch(url, init),
  now: () => performance.now(),
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
  random: () => Math.random(),
  readCookies: () => globalThis.document?.cookie ?? "",
  writeCookie: (cookie) => {
    // biome-ignore lint/suspicious/noDocumentCookie: cookieStore is not in every browser of today
    document.cookie = cookie;
  },
  locks: () => globalThis.navigator?.locks ?? null,
  channel: (name) => globalThis.BroadcastChannel && new BroadcastChannel(name),
  location: () => globalThis.location ?? null,
  isHidden: () => globalThis.document?.hidden ?? false,
  listen: (listener) => {
    if (!globalThis.document) return () => {};
    const stop = new AbortController();
    const { signal } = stop;
    addEventListener("online", () => listener("online"), { signal });
    addEventListener("pageshow", (event) => event.persisted && listener("restored"), { signal });
    document.addEventListener("visibilitychange", () => document.hidden || listener("visible"), {
      signal,
    });
    return () => stop.abort();
  },
};
