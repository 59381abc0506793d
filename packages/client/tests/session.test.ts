import { describe, expect, vi } from "vitest";
import { BROWSER } from "../src/host.ts";
import { createSession } from "../src/session.ts";
import type { Host } from "../src/types.ts";
import { ANNA, test, until } from "./support/world.ts";

const REFRESH = "/auth/refresh";

describe("login", () => {
  test("sends the form that the route reads, and signs in", async ({ server, browser }) => {
    const { session } = browser.open();

    await session.login({ ...ANNA, remember: false });

    const sent = server.seen.find(({ path }) => path === "/auth/token");
    expect(sent?.type).toMatch(/^application\/x-www-form-urlencoded/);
    expect(Object.fromEntries(new URLSearchParams(sent?.body.toString()))).toEqual({
      username: ANNA.email,
      password: ANNA.password,
      remember: "false",
    });
    expect(session.getSnapshot()).toMatchObject({ status: "authenticated", userId: ANNA.email });
  });

  test("refused: the form learns why, and nothing else changes", async ({ server, tab }) => {
    const before = tab.session.getSnapshot();

    const refused = tab.session.login({ ...ANNA, password: "wrong" });

    await expect(refused).rejects.toMatchObject({
      name: "ApiError",
      status: 401,
      code: "invalid_credentials",
      detail: "No: invalid_credentials",
      retryAfterMs: null,
    });
    expect(tab.session.getSnapshot()).toBe(before);
    expect(server.count(REFRESH)).toBe(0);
    expect(server.count("/auth/token")).toBe(1);
  });

  test("throttled: the form learns how long", async ({ server, tab }) => {
    server.fault("/auth/token", (_, response) => {
      response.writeHead(429, { "retry-after": "12" });
      response.end('{"code":"rate_limited","detail":"Too many attempts."}');
    });

    await expect(tab.session.login(ANNA)).rejects.toMatchObject({
      code: "rate_limited",
      retryAfterMs: 12_000,
    });
  });

  test.for([
    { what: "offline", online: false, code: "unreachable", status: 0 },
    { what: "a hotel's page", online: true, code: "unexpected", status: 200 },
  ])("$what: an ApiError too", async ({ online, code, status }, { server, browser, tab }) => {
    browser.online = online;
    server.fault("/auth/token", (_, response) => response.end("<html>"));

    await expect(tab.session.login(ANNA)).rejects.toMatchObject({ name: "ApiError", code, status });
  });
});

describe("a login that did not stick", () => {
  const setting = expect.stringContaining("COOKIE_SECURE");

  test("is told on the console, with the setting's name", async ({ browser }) => {
    const error = vi.spyOn(console, "error").mockImplementation(() => {});
    const { session } = browser.open();
    browser.jar.set = () => browser.jar; // the browser refuses every cookie

    await session.login(ANNA);

    expect(error).toHaveBeenCalledWith(setting);
  });

  test("is told at the first refresh where the cookie cannot be read", async ({ browser }) => {
    const error = vi.spyOn(console, "error").mockImplementation(() => {});
    const { session, clock, api } = browser.open({ hintCookie: false });
    browser.jar.set = () => browser.jar;
    await session.login(ANNA);
    expect(error).not.toHaveBeenCalled();
    clock.advance(1_800_000);

    await api.get("/api/items").catch(() => {});

    expect(error).toHaveBeenCalledWith(setting);
  });

  test("is the only one that is told of", async ({ server, tab }) => {
    const error = vi.spyOn(console, "error").mockImplementation(() => {});
    server.expireAccessTokens();

    await tab.api.get("/api/items");

    expect(error).not.toHaveBeenCalled();
  });
});

test("register creates an account and does not log in", async ({ browser }) => {
  const { session } = browser.open();
  await session.ready();

  const result = await session.register(ANNA);

  expect(result).toEqual({ status: "created", id: "7", email: ANNA.email });
  expect(session.getSnapshot().status).toBe("anonymous");
});

test("register with confirmation says that a mail is on its way", async ({ server, browser }) => {
  server.fault("/auth/register", (_, response) => response.writeHead(202).end("{}"));

  await expect(browser.open().session.register(ANNA)).resolves.toEqual({ status: "mailed" });
});

describe.for(["changePassword", "confirm"] as const)("%s", (name) => {
  const call = (session: Parameters<typeof act>[0], password: string) =>
    act(session, name, password);

  test("adopts the new token, here and in the other tabs", async ({ browser, server, tab }) => {
    const other = browser.open();
    await other.session.ready();
    const before = await tab.session.token();

    await call(tab.session, "secret");

    const after = await tab.session.token();
    expect(after).not.toBe(before);
    await vi.waitFor(async () => expect(await other.session.token()).toBe(after));
    expect(server.count(REFRESH)).toBe(0);
  });

  test("with a token that was refused refreshes first, and does not wait for itself", async ({
    server,
    tab,
  }) => {
    server.expireAccessTokens();

    await call(tab.session, "secret");

    expect(server.count(REFRESH)).toBe(1);
  });

  test("with a wrong password changes nothing", async ({ tab }) => {
    const before = await tab.session.token();

    await expect(call(tab.session, "wrong")).rejects.toMatchObject({
      status: 403,
      code: "wrong_password",
    });
    expect(await tab.session.token()).toBe(before);
  });
});

describe("a session's life", () => {
  test("creating one touches nothing", () => {
    const names = Object.keys(BROWSER) as (keyof Host)[];
    const world = names.map((name) => vi.spyOn(BROWSER, name));
    const touched = () => world.filter(({ mock }) => mock.calls.length > 0).length;

    const { getSnapshot, covers } = createSession();

    expect(getSnapshot()).toEqual({ status: "booting", userId: null });
    expect(touched()).toBe(0);
    covers("/api/items"); // which asks where the page is
    expect(touched()).toBe(1);
  });

  test("mounted twice, as StrictMode does, it boots once", async ({ server, browser, tab }) => {
    tab.close();
    const { session } = browser.openStopped();
    session.start()();
    const stop = session.start();

    await session.ready();
    stop();

    expect(server.count(REFRESH)).toBe(1);
  });

  test("stopped, it hears no other tab; started again, it looks what it missed", async ({
    browser,
    tab,
  }) => {
    const other = browser.open();
    await other.session.ready();
    other.close();
    await tab.session.logout();
    await new Promise((later) => setTimeout(later, 20));
    expect(other.session.getSnapshot().status).toBe("authenticated");
    await tab.session.login({ email: "bert", password: "secret" });

    const stop = other.session.start();

    await until(() => other.session.getSnapshot().userId === "bert");
    stop();
  });

  test("a disposer counts once", async ({ browser, tab }) => {
    const stop = tab.session.start();
    stop();
    stop();

    await browser.open().session.login({ email: "bert", password: "secret" });

    await until(() => tab.session.getSnapshot().userId === "bert");
  });

  test("one listener's mistake is not the next one's", async ({ tab }) => {
    const mistakes: unknown[] = [];
    const collect = (error: unknown) => mistakes.push(error);
    process.prependListener("uncaughtException", collect);
    const next = vi.fn();
    const unsubscribe = tab.session.subscribe(() => {
      throw new Error("mine");
    });
    tab.session.subscribe(next);

    vi.spyOn(globalThis, "queueMicrotask").mockImplementation(() => {});
    const done = tab.session.logout();
    unsubscribe();
    vi.restoreAllMocks();
    await done;
    process.off("uncaughtException", collect);

    expect(next).toHaveBeenCalled();
  });
});

type Doer = Pick<ReturnType<typeof createSession>, "changePassword" | "confirm">;

function act(session: Doer, name: "changePassword" | "confirm", password: string): Promise<void> {
  return name === "confirm"
    ? session.confirm(password)
    : session.changePassword({ currentPassword: password, newPassword: "better secret" });
}
