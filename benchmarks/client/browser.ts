/**
 * A browser as far as these clients see one: a cookie jar, a localStorage, locks and channels that its tabs
 * share. Requests are real; only the cookies are put in and taken out by hand, which Node leaves to its caller.
 */
import axios, { type AxiosAdapter, AxiosHeaders, type AxiosInstance, getAdapter } from "axios";
import type { Host } from "../../packages/client/src/types.ts";

export interface Browser {
  readonly origin: string;
  /** Where the tutorials keep the access token. */
  readonly localStorage: Map<string, string>;
  /** An axios of a page's own. */
  readonly newAxios: () => AxiosInstance;
  /** What `createSession` asks of a browser. */
  readonly host: Partial<Host>;
}

/** Lock and channel names are the whole process's. */
let browsers = 0;

export function startBrowser(origin: string): Browser {
  browsers += 1;
  const prefix = `browser-${browsers}:`;
  const jar = new Map<string, { readonly value: string; readonly isReadable: boolean }>();

  function keep(cookie: string): void {
    const [pair = "", ...attributes] = cookie.split("; ");
    const [name = "", value = ""] = pair.split("=");
    if (attributes.includes("Max-Age=0")) jar.delete(name);
    else jar.set(name, { value, isReadable: !attributes.includes("HttpOnly") });
  }

  const cookies = (onlyReadable: boolean): string =>
    [...jar]
      .filter(([, { isReadable }]) => isReadable || !onlyReadable)
      .map(([name, { value }]) => `${name}=${value}`)
      .join("; ");

  const send = getAdapter("http");

  const withCookies: AxiosAdapter = async (config) => {
    const headers = new AxiosHeaders(config.headers);
    if (jar.size > 0) headers.set("Cookie", cookies(false));
    const settled = await send({ ...config, headers }).then(
      (response) => ({ response, error: null }),
      (error) => ({ response: error.response, error }),
    );
    for (const cookie of settled.response?.headers["set-cookie"] ?? []) keep(cookie);
    if (settled.error) throw settled.error;
    settled.response.config = config;
    return settled.response;
  };

  return {
    origin,
    localStorage: new Map(),
    newAxios: () => axios.create({ baseURL: origin, adapter: withCookies, proxy: false }),
    host: {
      async fetch(url, init) {
        const headers = new Headers(init.headers);
        if (jar.size > 0) headers.set("Cookie", cookies(false));
        const response = await fetch(new URL(url, origin), { ...init, headers });
        for (const cookie of response.headers.getSetCookie()) keep(cookie);
        return response;
      },
      readCookies: () => cookies(true),
      writeCookie: keep,
      locks: () => ({
        request: (name: string, ...rest: unknown[]) =>
          Reflect.apply(navigator.locks.request, navigator.locks, [prefix + name, ...rest]),
      }),
      channel: (name) => new BroadcastChannel(prefix + name),
      location: () => ({ href: `${origin}/inbox`, origin }),
      listen: () => () => {},
    },
  };
}
