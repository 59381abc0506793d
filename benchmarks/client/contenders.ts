/**
 * Five ways to answer a 401, each as its source has it. The first four keep the access token in localStorage,
 * as their sources do: so a tab sends at once what another has fetched.
 */
import type { AxiosError, AxiosInstance, InternalAxiosRequestConfig } from "axios";
import { createAuthRefresh } from "axios-auth-refresh";
import { attach } from "../../packages/client/src/axios.ts";
import { createSession } from "../../packages/client/src/session.ts";
import type { Browser } from "./browser.ts";

export interface Account {
  readonly email: string;
  readonly password: string;
}

export interface Tab {
  readonly api: AxiosInstance;
  readonly logIn: (account: Account) => Promise<void>;
  readonly close: () => void;
}

export interface Contender {
  readonly name: string;
  readonly open: (browser: Browser) => Tab;
}

type Config = InternalAxiosRequestConfig & { _retry?: boolean };

const REFRESH = "/auth/refresh";

/** What the first four have in common: a login, and an interceptor that sends the stored token. */
function openTab(browser: Browser): Tab {
  const { localStorage } = browser;
  const api = browser.newAxios();
  api.interceptors.request.use((config) => {
    const token = localStorage.get("token");
    if (token) config.headers.Authorization = `Bearer ${token}`;
    return config;
  });
  return {
    api,
    async logIn({ email, password }) {
      const form = new URLSearchParams({ username: email, password });
      const { data } = await browser.newAxios().post("/auth/token", form);
      localStorage.set("token", data.access_token);
    },
    close() {},
  };
}

/** A refresh from another axios, as most tutorials send it, so that its own 401 is not intercepted. */
async function refresh(browser: Browser): Promise<string> {
  const { data } = await browser.newAxios().post(REFRESH);
  browser.localStorage.set("token", data.access_token);
  return data.access_token;
}

/** Each 401 refreshes by itself: what one writes first. */
function openNaive(browser: Browser): Tab {
  const tab = openTab(browser);
  const { api } = tab;
  api.interceptors.response.use(undefined, async (error: AxiosError) => {
    const config = error.config as Config | undefined;
    if (error.response?.status !== 401 || !config || config._retry) throw error;
    config._retry = true;
    await refresh(browser);
    return api(config);
  });
  return tab;
}

/** `isRefreshing`, `failedQueue`, `_retry`: the names it goes by in tutorials and public repositories. One refresh a tab. */
function openQueue(browser: Browser): Tab {
  const tab = openTab(browser);
  const { api } = tab;
  let isRefreshing = false;
  let failedQueue: {
    readonly resolve: (token: string) => void;
    readonly reject: (e: unknown) => void;
  }[] = [];

  api.interceptors.response.use(undefined, async (error: AxiosError) => {
    const config = error.config as Config | undefined;
    if (error.response?.status !== 401 || !config || config._retry) throw error;
    config._retry = true;
    if (isRefreshing) {
      await new Promise<string>((resolve, reject) => failedQueue.push({ resolve, reject }));
      return api(config);
    }
    isRefreshing = true;
    try {
      const token = await refresh(browser);
      for (const { resolve } of failedQueue) resolve(token);
    } catch (failure) {
      for (const { reject } of failedQueue) reject(failure);
      throw failure;
    } finally {
      failedQueue = [];
      isRefreshing = false;
    }
    return api(config);
  });
  return tab;
}

/** axios-auth-refresh 5: "Usage" and "Request interceptor" of its README, with its default options. */
function openPlugin(browser: Browser): Tab {
  const tab = openTab(browser);
  const { api } = tab;
  createAuthRefresh(api, async (failed) => {
    const { data } = await api.post(REFRESH);
    browser.localStorage.set("token", data.access_token);
    failed.response.config.headers.Authorization = `Bearer ${data.access_token}`;
  });
  return tab;
}

/** The same, as its README has it "if you need every failed request to independently trigger" a refresh. */
function openPluginForParallel(browser: Browser): Tab {
  const tab = openTab(browser);
  const { api } = tab;
  createAuthRefresh(
    api,
    async (failed) => {
      const { data } = await api.post(REFRESH, undefined, { skipAuthRefresh: true } as object);
      browser.localStorage.set("token", data.access_token);
      failed.response.config.headers.Authorization = `Bearer ${data.access_token}`;
    },
    { deduplicateRefresh: false },
  );
  return tab;
}

function openOurs({ host, newAxios }: Browser): Tab {
  const session = createSession({ host });
  return {
    api: attach(newAxios(), session),
    logIn: (account) => session.login(account),
    close: session.start(),
  };
}

export const CONTENDERS: readonly Contender[] = [
  { name: "each 401 refreshes by itself", open: openNaive },
  { name: "the tutorials' queue", open: openQueue },
  { name: "axios-auth-refresh, defaults", open: openPlugin },
  { name: "axios-auth-refresh, `deduplicateRefresh: false`", open: openPluginForParallel },
  { name: "@batonpass/client", open: openOurs },
];
