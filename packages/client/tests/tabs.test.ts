import { describe, expect, vi } from "vitest";
import { ANNA, BERT, test, until } from "./support/world.ts";

const REFRESH = "/auth/refresh";
const LOGOUT = "/auth/logout";

test("6 tabs, 8 requests each, 5 expiries: 5 refreshes against a strict server", async ({
  server,
  browser,
  tab,
}) => {
  const tabs = [tab, ...Array.from({ length: 5 }, () => browser.open())];
  await Promise.all(tabs.map(({ session }) => session.ready()));

  for (let round = 0; round < 5; round += 1) {
    server.expireAccessTokens();
    const requests = tabs.flatMap(({ api }) =>
      Array.from({ length: 8 }, () => api.get("/api/items")),
    );
    const answers = await Promise.all(requests);
    expect(answers.every(({ status }) => status === 200)).toBe(true);
  }

  expect(server.count(REFRESH)).toBe(5);
});

test("a new tab gets its neighbour's token without a refresh", async ({ server, browser, tab }) => {
  const { session, api } = browser.open();

  const snapshot = await session.ready();

  expect(snapshot).toEqual(tab.session.getSnapshot());
  await api.get("/api/items");
  expect(server.count(REFRESH)).toBe(0);
});

test("an adopted token's life is what is left of it", async ({ server, browser, tab }) => {
  tab.clock.advance(1_790_000);
  const { session, api, clock } = browser.open();
  await session.ready();

  clock.advance(11_000);
  await api.get("/api/items");

  expect(server.count(REFRESH)).toBe(1);
});

test("a neighbour whose token is over is no help", async ({ server, browser, tab }) => {
  tab.clock.advance(1_800_001);

  await browser.open().session.ready();

  expect(server.count(REFRESH)).toBe(1);
});

test("a neighbour whose token is as old as ours is no help", async ({ server, browser, tab }) => {
  const old = browser.open();
  await old.session.ready();
  const deaf = browser.open({ host: { channel: () => null } });
  await deaf.session.ready();
  deaf.close();
  server.expireAccessTokens();

  const answer = await tab.api.get("/api/items");

  expect(answer.status).toBe(200);
});

test("a tab that waited for the lock looks whether its refresh is still needed", async ({
  server,
  browser,
  tab,
}) => {
  const waiting = browser.open();
  const impatient = browser.open({ host: { locks: () => null } });
  await Promise.all([waiting.session.ready(), impatient.session.ready()]);
  server.expireAccessTokens();
  let letGo = (): void => {};
  server.fault(REFRESH, (_, response) => (letGo = () => response.writeHead(503).end()), 1);
  tab.api.get("/api/items").catch(() => {});
  await until(() => server.count(REFRESH) === 1);
  const waits = waiting.api.get("/api/items");
  await impatient.api.get("/api/items");
  await waits;

  letGo();
  await browser.open().session.ready(); // its turn at the lock comes after all of theirs

  expect(server.count(REFRESH)).toBe(2);
});

test("a tab that asks its neighbours when they log out does not refresh", async ({
  server,
  browser,
}) => {
  const asking = browser.open({ hintCookie: false });
  const other = browser.open({ hintCookie: false });
  await asking.session.login(ANNA);
  await until(() => other.session.getSnapshot().userId === ANNA.email);
  server.forget();
  asking.clock.advance(1_800_000);
  other.clock.advance(1_800_000);
  const waiting = asking.api.get("/api/items").catch((error: { code: string }) => error.code);
  await until(() => asking.session.getSnapshot().status === "refreshing");

  await other.session.logout();

  await expect(waiting).resolves.toBe("logged_out");
  expect(server.count(REFRESH)).toBe(0);
});

describe("a message from an earlier moment", () => {
  const token = {
    accessToken: "old",
    userId: "anna@example.com",
    sessionId: "gone",
    generation: 9,
    hint: "gonegone.9",
    receivedAt: 0,
    expiresAt: Number.POSITIVE_INFINITY,
  };

  test.for([
    { type: "signed-in", token, elsewhere: true },
    { type: "token-from-tab", token },
  ] as const)("$type: brings no session back", async (event, { browser, tab }) => {
    await tab.session.logout();

    browser.say(event);
    await new Promise((later) => setTimeout(later, 50));

    expect(tab.session.getSnapshot().status).toBe("anonymous");
  });

  test("signed-in: does not displace a newer one", async ({ browser, tab }) => {
    const before = tab.session.getSnapshot();

    browser.say({ type: "signed-in", token, elsewhere: true });
    await new Promise((later) => setTimeout(later, 50));

    expect(tab.session.getSnapshot()).toBe(before);
  });
});

describe("where the readable cookie cannot be read", () => {
  test("tabs still share one refresh", async ({ server, browser }) => {
    const tabs = [0, 1, 2].map(() => browser.open({ hintCookie: false }));
    await tabs[0]?.session.login(ANNA);
    await Promise.all(tabs.map(({ session }) => session.ready()));
    await until(() => tabs.every(({ session }) => session.getSnapshot().userId === ANNA.email));
    server.forget();
    server.expireAccessTokens();

    await Promise.all(tabs.map(({ api }) => api.get("/api/items")));

    expect(server.count(REFRESH)).toBe(1);
  });
});

describe("the readable cookie", () => {
  test("true believes its absence: an anonymous visitor costs no request", async ({
    server,
    browser,
  }) => {
    const snapshot = await browser.open({ hintCookie: true }).session.ready();

    expect(snapshot.status).toBe("anonymous");
    expect(server.seen).toEqual([]);
  });

  test("auto asks the server once where it is absent", async ({ server, browser, tab }) => {
    tab.close();
    browser.jar.delete("session_state");

    const snapshot = await browser.open().session.ready();

    expect(snapshot).toMatchObject({ status: "authenticated", userId: ANNA.email });
    expect(server.count(REFRESH)).toBe(1);
  });

  test("that went back is mended by a refresh at once; the request does not wait", async ({
    server,
    browser,
    tab,
  }) => {
    server.expireAccessTokens();
    await tab.api.get("/api/items");
    const old = [...browser.jar].map(
      ([name, value]) => [name, value.replace(/\.1$/, ".0")] as const,
    );
    for (const [name, value] of old) browser.jar.set(name, value);
    server.grace = 1;
    server.forget();

    await tab.api.get("/api/items");
    await until(() => browser.jar.get("session_state")?.endsWith(".1") ?? false);

    expect(server.count("/api/items")).toBe(1);
    expect(server.count(REFRESH)).toBe(1);
  });

  test("that is forged costs one refresh, not one a request", async ({ server, browser, tab }) => {
    browser.jar.set("session_state", "forged00.7");
    server.fault(REFRESH, (_, response) => response.writeHead(503).end(), 1);
    await tab.api.get("/api/items").catch(() => {});
    tab.session.retry();
    await until(() => tab.session.getSnapshot().status === "authenticated");
    browser.jar.set("session_state", "forged00.7");
    await tab.api.get("/api/items");
    browser.jar.set("session_state", "forged00.7");
    for (let n = 0; n < 5; n += 1) await tab.api.get("/api/items");

    expect(server.count(REFRESH)).toBeLessThanOrEqual(3);
    expect(tab.session.getSnapshot().status).toBe("authenticated");
  });

  test("is its own where the server has several", async ({ server, browser, tab }) => {
    expect(tab.session.getSnapshot().status).toBe("authenticated");
    browser.jar.set("staff_session_state", "logged-out");

    const customer = await browser.open({ hintCookie: true }).session.ready();
    const employee = await browser.open({ hintCookie: true, name: "staff" }).session.ready();
    const nobody = await browser.open({ hintCookie: true, name: "sta" }).session.ready();

    expect(customer.status).toBe("authenticated");
    expect(employee.status).toBe("anonymous");
    expect(nobody.status).toBe("anonymous");
    expect(server.count(REFRESH)).toBe(0);
  });

  test("is the prefixed one over https", async ({ server, browser }) => {
    const location = () => ({ href: "https://app.example/", origin: "https://app.example" });
    browser.jar.set("session_state", "tossed00.3");
    browser.jar.set("__Host-session_state", "logged-out");

    const snapshot = await browser.open({ host: { location } }).session.ready();

    expect(snapshot.status).toBe("anonymous");
    expect(server.count(REFRESH)).toBe(0);
  });
});

describe("a lock that a frozen tab keeps", () => {
  test("is waited for, then done without", async ({ server, browser, tab }) => {
    const frozen = browser.open({ timeoutMs: 500 });
    await frozen.session.ready();
    server.expireAccessTokens();
    const locks = {
      request: (_name: string, { signal }: LockOptions) =>
        new Promise((_, reject) => {
          signal?.addEventListener("abort", () => reject(signal.reason));
        }),
    };
    const other = browser.open({ hintCookie: false, host: { locks: () => locks as never } });
    tab.close();
    frozen.close();

    const answer = other.api.get("/api/items");
    other.clock.advance(10_001);

    await expect(answer).resolves.toMatchObject({ status: 200 });
  });

  test("the fetch under it ends before the lock's own time", async ({ server, browser, tab }) => {
    server.expireAccessTokens();
    server.grace = 1;
    const letGo = server.hold(REFRESH);
    const first = tab.api.get("/api/items").catch((error: Error) => error.name);
    await until(() => server.count(REFRESH) === 1);

    tab.clock.advance(8_000);

    await expect(first).resolves.toBe("SessionUnavailableError");
    letGo();
    // And the lock is free again:
    await expect(browser.open().session.ready()).resolves.toMatchObject({
      status: "authenticated",
    });
  });
});

describe("logout", () => {
  test("ends every tab at once, and the server's session", async ({ server, browser, tab }) => {
    const other = browser.open();
    await other.session.ready();
    const changed = vi.fn();
    other.session.on("user-changed", changed);

    await tab.session.logout();
    await until(() => other.session.getSnapshot().status === "anonymous");

    expect(changed.mock.calls).toEqual([[{ userId: null, previousUserId: ANNA.email }]]);
    expect(server.count(LOGOUT)).toBe(1);
    expect(server.seen.at(-1)?.authorization).toMatch(/^Bearer /);
    expect([...browser.jar]).toEqual([]);
  });

  test("is here at once, before any answer", async ({ server, tab }) => {
    const letGo = server.hold(LOGOUT);

    const done = tab.session.logout();

    expect(tab.session.getSnapshot().status).toBe("logging-out");
    letGo();
    await done;
    expect(tab.session.getSnapshot().status).toBe("anonymous");
  });

  test("while a refresh is in flight: no token comes back", async ({ server, browser, tab }) => {
    const statuses: string[] = [];
    server.expireAccessTokens();
    const letGo = server.hold(REFRESH);
    const waiting = tab.api.get("/api/items");
    await until(() => server.count(REFRESH) === 1);
    tab.session.subscribe(() => statuses.push(tab.session.getSnapshot().status));

    const done = tab.session.logout();
    letGo();

    await expect(waiting).rejects.toMatchObject({
      name: "SessionExpiredError",
      code: "logged_out",
    });
    await done;
    expect(statuses).toEqual(["logging-out", "anonymous"]);
    await expect(tab.session.token()).resolves.toBeNull();
    await expect(browser.open().session.ready()).resolves.toMatchObject({ userId: null });
  });

  test("offline ends it here, and on the server as soon as it can be reached", async ({
    server,
    browser,
    tab,
  }) => {
    browser.online = false;
    await tab.session.logout();
    expect(tab.session.getSnapshot().status).toBe("anonymous");
    expect(server.count(LOGOUT)).toBe(0);

    browser.online = true;
    tab.tell("online");
    await until(() => browser.jar.size === 0);

    expect(server.seen.at(-1)).toMatchObject({ path: LOGOUT });
    expect(server.seen.at(-1)?.authorization).toMatch(/^Bearer /);
  });

  test("offline is not forgotten when the page is closed", async ({ server, browser, tab }) => {
    browser.online = false;
    await tab.session.logout();
    tab.close();
    browser.online = true;

    const snapshot = await browser.open().session.ready();
    await until(() => browser.jar.size === 0);

    expect(snapshot.status).toBe("anonymous");
    expect(server.count(REFRESH)).toBe(0);
    expect(server.count(LOGOUT)).toBe(1);
  });

  test("offline, then a login: the old logout does not end the new session", async ({
    server,
    browser,
    tab,
  }) => {
    browser.online = false;
    await tab.session.logout();
    browser.online = true;
    await tab.session.login(BERT);

    tab.tell("online");

    await expect(tab.api.get("/api/items")).resolves.toMatchObject({ status: 200 });
    expect(server.count(LOGOUT)).toBe(0);
  });

  test("offline, then another tab's login unheard: it is not ended either", async ({
    server,
    browser,
    tab,
  }) => {
    const deaf = browser.open({ host: { channel: () => null } });
    await deaf.session.ready();
    browser.online = false;
    await deaf.session.logout();
    browser.online = true;
    await tab.session.login(BERT);
    server.forget();

    deaf.tell("online");
    await until(() => deaf.session.getSnapshot().userId === null);
    await new Promise((later) => setTimeout(later, 50));

    expect(server.count(LOGOUT)).toBe(0);
  });

  test("offline, then a login, the cookie unreadable: it is not ended either", async ({
    server,
    browser,
  }) => {
    const { session, tell } = browser.open({ hintCookie: false });
    await session.login(ANNA);
    browser.online = false;
    await session.logout();
    browser.online = true;
    await session.login(BERT);

    tell("online");
    await new Promise((later) => setTimeout(later, 50));

    expect(server.count(LOGOUT)).toBe(0);
  });

  test("in another tab overtakes a login that is under way here", async ({
    server,
    browser,
    tab,
  }) => {
    const other = browser.open();
    await other.session.ready();
    const letGo = server.hold("/auth/token");
    const login = other.session.login(BERT).catch((error: { code: string }) => error.code);
    await until(() => server.count("/auth/token") === 1);

    const logout = tab.session.logout();
    await until(() => other.session.getSnapshot().status === "anonymous");
    letGo();

    await expect(login).resolves.toBe("logged_out");
    await logout;
    await until(() => browser.jar.size === 0);
    expect(tab.session.getSnapshot().status).toBe("anonymous");
  });

  test("does not wait for the refresh that is in flight", async ({ server, tab }) => {
    server.expireAccessTokens();
    const letGo = server.hold(REFRESH);
    tab.api.get("/api/items").catch(() => {});
    await until(() => server.count(REFRESH) === 1);
    const before = performance.now();

    await tab.session.logout();

    expect(performance.now() - before).toBeLessThan(800);
    letGo();
  });

  test("is sent although another tab's refresh set the cookie once more", async ({
    server,
    browser,
    tab,
  }) => {
    const other = browser.open();
    await other.session.ready();
    server.expireAccessTokens();
    const letGo = server.hold(REFRESH);
    other.api.get("/api/items").catch(() => {});
    await until(() => server.count(REFRESH) === 1);

    const done = tab.session.logout();
    letGo();
    await done;

    expect(server.count(LOGOUT)).toBe(1);
    await until(() => browser.jar.size === 0);
  });

  test("in another tab breaks off the refresh here: its answer brings no cookie back", async ({
    server,
    browser,
    tab,
  }) => {
    const other = browser.open();
    await other.session.ready();
    server.expireAccessTokens();
    const letGo = server.hold(REFRESH);
    other.api.get("/api/items").catch(() => {});
    await until(() => server.count(REFRESH) === 1);
    server.fault(LOGOUT, (_, response) => response.writeHead(503).end(), 1);

    await tab.session.logout();
    letGo();
    await new Promise((later) => setTimeout(later, 50));

    expect(browser.jar.get("session_state")).toBe("logged-out");
    await expect(browser.open().session.ready()).resolves.toMatchObject({ status: "anonymous" });
  });

  test("that goes on without the lock is waited for by the login after it", async ({
    server,
    browser,
  }) => {
    const { session } = browser.open({ host: { locks: () => null } });
    await session.login(ANNA);
    server.forget();
    const letGo = server.hold(LOGOUT);

    const logout = session.logout();
    const login = session.login(BERT);
    await until(() => server.count(LOGOUT) === 1);
    await new Promise((later) => setTimeout(later, 50));

    expect(server.count("/auth/token")).toBe(0);
    letGo();
    await Promise.all([logout, login]);
    expect(browser.jar.has("refresh_token")).toBe(true);
    expect(session.getSnapshot().userId).toBe(BERT.email);
  });

  test("overtakes a login that is under way", async ({ server, tab }) => {
    const letGo = server.hold("/auth/token");
    const login = tab.session.login(BERT).catch((error: { code: string }) => error.code);
    await until(() => server.count("/auth/token") === 1);

    const logout = tab.session.logout();
    letGo();

    await expect(login).resolves.toBe("logged_out");
    await logout;
    expect(tab.session.getSnapshot().status).toBe("anonymous");
    await expect(tab.api.get("/api/items")).rejects.toMatchObject({ response: { status: 401 } });
  });

  test("in two tabs at once reaches the server from each", async ({ server, browser, tab }) => {
    const other = browser.open();
    await other.session.ready();

    await Promise.all([tab.session.logout(), other.session.logout()]);

    expect(server.count(LOGOUT)).toBe(2);
    expect(other.session.getSnapshot().status).toBe("anonymous");
  });
});

describe("another user's login in another tab", () => {
  test("takes over here, and says so", async ({ browser, tab }) => {
    const changed = vi.fn();
    tab.session.on("user-changed", changed);

    await browser.open().session.login(BERT);
    await until(() => tab.session.getSnapshot().userId === BERT.email);

    expect(changed.mock.calls).toEqual([[{ userId: BERT.email, previousUserId: ANNA.email }]]);
    await expect(tab.api.get("/api/items")).resolves.toMatchObject({ data: { user: BERT.email } });
  });

  test("that was slept through is found in the cookie: no request goes out in the wrong name", async ({
    server,
    browser,
    tab,
  }) => {
    const deaf = browser.open({ host: { channel: () => null } });
    await deaf.session.ready();
    await tab.session.login(BERT);
    server.forget();

    const annas = deaf.api.post("/api/transfer");

    await expect(annas).rejects.toMatchObject({ code: "logged_out" });
    expect(server.count("/api/transfer")).toBe(0);
    expect(deaf.session.getSnapshot().userId).toBe(BERT.email);
  });
});

test("an end that one tab finds is told to the others", async ({ server, browser, tab }) => {
  const other = browser.open();
  await other.session.ready();
  server.endSessions("revoked");

  await tab.api.get("/api/items").catch(() => {});
  await until(() => other.session.getSnapshot().status === "expired");

  expect(other.session.getSnapshot()).toMatchObject({ code: "refresh_revoked", reason: "revoked" });
  expect(server.count(REFRESH)).toBe(1);
});

test("a late 401 of the old session after a new login ends nothing", async ({ server, tab }) => {
  const letGo = server.hold("/api/slow");
  const slow = tab.api.get("/api/slow").catch(() => {});
  await until(() => server.count("/api/slow") === 1);
  await tab.session.login(ANNA);
  letGo();

  await slow;

  expect(tab.session.getSnapshot().status).toBe("authenticated");
  expect(server.count(REFRESH)).toBe(0);
});

describe("a page that comes back from the cache", () => {
  test("forgets everything where the cookie is gone", async ({ browser, tab }) => {
    browser.jar.clear();

    tab.tell("restored");

    expect(tab.session.getSnapshot().status).toBe("anonymous");
    await expect(tab.session.token()).resolves.toBeNull();
  });

  test("shows nothing before it knows whose cookie that is", async ({ browser, tab }) => {
    const deaf = browser.open({ host: { channel: () => null } });
    await deaf.session.ready();
    await tab.session.login(BERT);

    deaf.tell("restored");

    expect(deaf.session.getSnapshot()).toEqual({ status: "booting", userId: null });
    await until(() => deaf.session.getSnapshot().userId === BERT.email);
  });

  test("goes on as it was where nothing has changed", async ({ server, tab }) => {
    const before = tab.session.getSnapshot();

    tab.tell("restored");

    expect(tab.session.getSnapshot()).toBe(before);
    expect(server.seen).toEqual([]);
  });
});

test("a page that is looked at again, its cookie's time over, keeps what is on it", async ({
  browser,
  tab,
}) => {
  browser.jar.clear();
  tab.clock.advance(8 * 24 * 3_600_000);

  tab.tell("visible");
  expect(tab.session.getSnapshot()).toMatchObject({ status: "authenticated" });
  await tab.api.get("/api/items").catch(() => {});

  expect(tab.session.getSnapshot()).toMatchObject({
    status: "expired",
    code: "refresh_missing",
    userId: ANNA.email,
  });
});

test("an anonymous page finds the login that it slept through", async ({ browser }) => {
  const deaf = browser.open({ host: { channel: () => null } });
  await deaf.session.ready();
  await browser.open().session.login(ANNA);

  deaf.tell("visible");

  await until(() => deaf.session.getSnapshot().userId === ANNA.email);
});

test("a page that is looked at while it boots asks no second time", async ({
  server,
  browser,
  tab,
}) => {
  tab.close();
  const letGo = server.hold(REFRESH);
  const { session, tell } = browser.open();
  await until(() => server.count(REFRESH) === 1);

  tell("visible");
  letGo();

  await expect(session.ready()).resolves.toMatchObject({ userId: ANNA.email });
  expect(server.count(REFRESH)).toBe(1);
});
