import { describe, expect, onTestFinished, vi } from "vitest";
import { createClock } from "./support/clock.ts";
import type { Server } from "./support/server.ts";
import { test, until } from "./support/world.ts";

const REFRESH = "/auth/refresh";

type Fault = Parameters<Server["fault"]>[1];

const answer =
  (status: number, body: unknown, headers: Record<string, string> = {}): Fault =>
  (_, response) => {
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(typeof body === "string" ? body : JSON.stringify(body));
  };

const cut: Fault = (_, response) => response.destroy();

/** What no server of ours says is no reason to end a session. */
describe("is no logout:", () => {
  test.for([
    { why: "500", fault: answer(500, { code: "internal_error" }), retryInMs: 1_000 },
    {
      why: "503 with Retry-After",
      fault: answer(503, {}, { "retry-after": "7" }),
      retryInMs: 7_000,
    },
    {
      why: "429 with Retry-After",
      fault: answer(429, {}, { "retry-after": "20" }),
      retryInMs: 20_000,
    },
    {
      why: "a hotel's page with 200",
      fault: answer(200, "<html>Welcome</html>"),
      retryInMs: 1_000,
    },
    { why: "200 with other JSON", fault: answer(200, { ok: true }), retryInMs: 1_000 },
    {
      why: "a proxy's 401",
      fault: answer(401, "<html>Log in to the proxy</html>"),
      retryInMs: 1_000,
    },
    {
      why: "a 401 of another kind",
      fault: answer(401, { code: "token_invalid" }),
      retryInMs: 1_000,
    },
    { why: "403 csrf", fault: answer(403, { code: "csrf" }), retryInMs: 1_000 },
    {
      why: "a code of ours with 400",
      fault: answer(400, { code: "refresh_reused" }),
      retryInMs: 1_000,
    },
    {
      why: "a redirect, twice",
      fault: answer(302, "", { location: "/login" }),
      retryInMs: 1_000,
      times: 2,
    },
    { why: "a connection cut twice", fault: cut, retryInMs: 1_000, times: 2 },
  ])("$why", async ({ fault, retryInMs, times = 1 }, { server, tab }) => {
    vi.spyOn(console, "error").mockImplementation(() => {});
    server.expireAccessTokens();
    server.fault(REFRESH, fault, times);

    await tab.api.get("/api/items").catch(() => {});

    expect(tab.session.getSnapshot()).toMatchObject({ status: "unreachable", retryInMs });
    tab.session.retry();
    await until(() => tab.session.getSnapshot().status === "authenticated");
  });

  test("an answer that does not come in time", async ({ server, browser }) => {
    const slow = browser.open({ timeoutMs: 300 });
    await slow.session.login({ email: "anna", password: "secret" });
    server.expireAccessTokens();
    const letGo = server.hold(REFRESH);

    await slow.api.get("/api/items").catch(() => {});

    expect(slow.session.getSnapshot().status).toBe("unreachable");
    letGo();
  });

  test("a time-out, after which it recovers by itself", async ({ server, browser }) => {
    const { session, api, clock } = browser.open({ timeoutMs: 300 });
    await session.login({ email: "anna", password: "secret" });
    server.forget();
    server.expireAccessTokens();
    server.grace = 1; // the answer that nobody waits for any more spends the token
    const letGo = server.hold(REFRESH);
    await api.get("/api/items").catch(() => {});
    letGo();

    clock.advance(1_200);

    await until(() => session.getSnapshot().status === "authenticated");
    await expect(api.get("/api/items")).resolves.toMatchObject({ status: 200 });
    expect(server.count(REFRESH)).toBe(2);
  });

  test("being offline while the page is loaded", async ({ browser, tab }) => {
    tab.close();
    browser.online = false;
    const { session, tell } = browser.open();

    await expect(session.ready()).resolves.toMatchObject({ status: "unreachable", userId: null });
    browser.online = true;
    tell("online");

    await until(() => session.getSnapshot().status === "authenticated");
  });
});

describe("ends the session:", () => {
  test.for([
    "refresh_missing",
    "refresh_invalid",
    "refresh_expired",
    "refresh_revoked",
    "refresh_reused",
  ])("401 %s, once", async (code, { server, tab }) => {
    const expired = vi.fn();
    tab.session.on("expired", expired);
    server.expireAccessTokens();
    server.fault(REFRESH, answer(401, { code, reason: "reused" }));

    await Promise.allSettled([tab.api.get("/api/a"), tab.api.get("/api/b")]);
    await tab.api.get("/api/c").catch(() => {});

    expect(expired.mock.calls).toEqual([[{ code, reason: "reused" }]]);
    expect(tab.session.getSnapshot()).toMatchObject({ status: "expired", code, reason: "reused" });
  });
});

test("the request outlives its page, carries the cookie, and follows nobody elsewhere", async ({
  browser,
}) => {
  const fetch = vi.fn(async () => new Response("{}"));
  const { session } = browser.open({ authUrl: "https://api.example/auth", host: { fetch } });

  await session.ready();

  expect(fetch).toHaveBeenCalledWith(
    "https://api.example/auth/refresh",
    expect.objectContaining({
      method: "POST",
      keepalive: true,
      credentials: "include",
      redirect: "error",
      cache: "no-store",
    }),
  );
});

test("refresh_missing while booting means nobody, not an end", async ({ browser }) => {
  const { session } = browser.open();

  await expect(session.ready()).resolves.toEqual({ status: "anonymous", userId: null });
});

test("another app's cookie of the same name is nobody's session", async ({ server, browser }) => {
  browser.jar.set("refresh_token", "of-another-port");
  server.fault(REFRESH, answer(401, { code: "refresh_invalid" }));

  const { session } = browser.open();

  await expect(session.ready()).resolves.toEqual({ status: "anonymous", userId: null });
});

test("a cookie of ours that the server does not know is told as an end", async ({
  server,
  browser,
  tab,
}) => {
  tab.close();
  server.fault(REFRESH, answer(401, { code: "refresh_invalid" }));

  const snapshot = await browser.open().session.ready();

  expect(snapshot).toMatchObject({ status: "expired", code: "refresh_invalid" });
});

test("a dead session found while booting is told as an end", async ({ server, browser, tab }) => {
  tab.close();
  server.endSessions("password");

  const snapshot = await browser.open().session.ready();

  expect(snapshot).toMatchObject({ status: "expired", userId: null, reason: "password" });
});

test("a superseded cookie is tried once more", async ({ server, tab }) => {
  server.expireAccessTokens();
  server.fault(REFRESH, answer(409, { code: "refresh_superseded" }), 1);

  const { status } = await tab.api.get("/api/items");

  expect(status).toBe(200);
  expect(server.count(REFRESH)).toBe(2);
});

test("a lost answer is asked for once more: no request that waits notices", async ({
  server,
  tab,
}) => {
  server.expireAccessTokens();
  server.fault(REFRESH, cut, 1);

  const answers = await Promise.all(["/api/a", "/api/b"].map((url) => tab.api.get(url)));

  expect(answers.map(({ status }) => status)).toEqual([200, 200]);
  expect(server.count(REFRESH)).toBe(2);
});

test("a logout waits for no second try", async ({ server, browser }) => {
  const { now, after } = createClock();
  const waits: number[] = [];
  const noting: typeof after = (ms, then) => {
    waits.push(ms);
    return after(ms, then);
  };
  const { session, api } = browser.open({ host: { now, after: noting } });
  await session.login({ email: "anna", password: "secret" });
  server.forget();
  server.expireAccessTokens();
  const letGo = server.hold(REFRESH);
  const asked = api.get("/api/items").catch(() => {});
  await until(() => server.count(REFRESH) === 1);

  await session.logout();
  letGo();
  await asked;

  expect(waits.filter((ms) => ms >= 50 && ms <= 250)).toEqual([]);
});

test("superseded twice is unreachable, not dead", async ({ server, tab }) => {
  server.expireAccessTokens();
  server.fault(REFRESH, answer(409, { code: "refresh_superseded" }), 2);

  await tab.api.get("/api/items").catch(() => {});

  expect(tab.session.getSnapshot().status).toBe("unreachable");
  expect(server.count(REFRESH)).toBe(2);
});

test("a refusal that is the set-up's fault names its code on the console", async ({
  server,
  tab,
}) => {
  const error = vi.spyOn(console, "error").mockImplementation(() => {});
  server.expireAccessTokens();
  server.fault(REFRESH, answer(403, { code: "csrf" }), 1);

  await tab.api.get("/api/items").catch(() => {});

  expect(error).toHaveBeenCalledWith(expect.stringContaining("403 csrf"));
});

test("tries again after 1, 2, 4 … at most 60 s", async ({ server, tab }) => {
  const waits: number[] = [];
  tab.session.subscribe(() => {
    const snapshot = tab.session.getSnapshot();
    if (snapshot.status === "unreachable" && snapshot.retryInMs)
      waits.push(snapshot.retryInMs / 1_000);
  });
  server.expireAccessTokens();
  server.fault(REFRESH, answer(500, {}));
  await tab.api.get("/api/items").catch(() => {});

  while (waits.length < 8) {
    const { length } = waits;
    tab.clock.advance(66_000);
    await until(() => waits.length > length);
  }

  expect(waits).toEqual([1, 2, 4, 8, 16, 32, 60, 60]);
});

test("not all clients try again at once: a tenth is spread", async ({ server, browser }) => {
  const tab = browser.open({ host: { random: () => 0.99 } });
  await tab.session.login({ email: "anna", password: "secret" });
  server.expireAccessTokens();
  server.fault(REFRESH, answer(503, {}, { "retry-after": "100" }), 1);
  await tab.api.get("/api/items").catch(() => {});

  tab.clock.advance(105_000);
  expect(tab.session.getSnapshot()).toMatchObject({ status: "unreachable", retryInMs: 100_000 });
  tab.clock.advance(5_000);

  await until(() => tab.session.getSnapshot().status === "authenticated");
});

test("the face does not flicker while it tries again", async ({ server, tab }) => {
  const seen: string[] = [];
  server.expireAccessTokens();
  server.fault(REFRESH, answer(500, {}), 2);
  await tab.api.get("/api/items").catch(() => {});
  tab.session.subscribe(() => seen.push(tab.session.getSnapshot().status));

  tab.clock.advance(1_200);
  await until(() => server.count(REFRESH) === 2);
  tab.tell("visible");
  await until(() => tab.session.getSnapshot().status === "authenticated");

  expect(new Set(seen)).toEqual(new Set(["unreachable", "authenticated"]));
});

test.for(["online", "visible"] as const)("tries again when %s", async (what, { server, tab }) => {
  server.expireAccessTokens();
  server.fault(REFRESH, answer(503, {}, { "retry-after": "100" }), 1);
  await tab.api.get("/api/items").catch(() => {});

  tab.tell(what);

  await until(() => tab.session.getSnapshot().status === "authenticated");
});

test("a hidden page waits until it is looked at", async ({ server, browser }) => {
  let hidden = false;
  const tab = browser.open({ host: { isHidden: () => hidden } });
  await tab.session.login({ email: "anna", password: "secret" });
  server.forget();
  server.expireAccessTokens();
  server.fault(REFRESH, answer(503, {}), 1);
  await tab.api.get("/api/items").catch(() => {});

  hidden = true;
  tab.clock.advance(2_000);
  expect(tab.session.getSnapshot()).toMatchObject({ status: "unreachable", retryInMs: 1_000 });
  hidden = false;
  tab.tell("visible");

  await until(() => tab.session.getSnapshot().status === "authenticated");
});

test("unreachable and restored are told once each", async ({ server, tab }) => {
  const told: string[] = [];
  tab.session.on("unreachable", ({ retryInMs }) => told.push(`unreachable ${retryInMs}`));
  tab.session.on("restored", ({ userId }) => told.push(`restored ${userId}`));
  server.expireAccessTokens();
  server.fault(REFRESH, answer(503, {}), 1);
  await tab.api.get("/api/items").catch(() => {});

  tab.session.retry();
  await until(() => tab.session.getSnapshot().status === "authenticated");

  expect(told).toEqual(["unreachable 1000", "restored anna@example.com"]);
});

test("may be asked for inside an event's handler", async ({ server, tab }) => {
  const { promise, resolve } = deferred<number>();
  tab.session.on("restored", () => {
    server.expireAccessTokens();
    resolve(tab.api.get("/api/items").then(({ status }) => status));
  });
  server.expireAccessTokens();
  server.fault(REFRESH, answer(503, {}), 1);
  await tab.api.get("/api/items").catch(() => {});

  tab.session.retry();

  await expect(promise).resolves.toBe(200);
});

test("the device's clock is never asked", async ({ server, tab }) => {
  onTestFinished(() => void vi.useRealTimers());
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 2 * 3_600_000 });
  await tab.api.get("/api/items");
  vi.setSystemTime(Date.now() - 4 * 3_600_000);
  await tab.api.get("/api/items");

  expect(server.count(REFRESH)).toBe(0);
});

function deferred<T>(): { promise: Promise<T>; resolve: (value: T | Promise<T>) => void } {
  let resolve: (value: T | Promise<T>) => void = () => {};
  const promise = new Promise<T>((settle) => (resolve = settle));
  return { promise, resolve };
}
