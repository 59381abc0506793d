import { Readable } from "node:stream";
import axios, { CanceledError } from "axios";
import { describe, expect } from "vitest";
import { SessionExpiredError, SessionUnavailableError } from "../src/errors.ts";
import { type Server, startServer } from "./support/server.ts";
import { ANNA, BERT, test, until } from "./support/world.ts";

const REFRESH = "/auth/refresh";

describe("a 401", () => {
  test("50 at once share one refresh, and each request is retried once", async ({
    server,
    tab,
  }) => {
    server.expireAccessTokens();
    const paths = Array.from({ length: 50 }, (_, n) => `/api/items/${n}`);

    const answers = await Promise.all(paths.map((path) => tab.api.get(path)));

    expect(answers.map(({ data }) => data.path)).toEqual(paths);
    expect(server.count(REFRESH)).toBe(1);
    expect(paths.map(server.count)).toEqual(paths.map(() => 2));
  });

  test("that comes late, sent with an older token, is retried without another refresh", async ({
    server,
    tab,
  }) => {
    const letGo = server.hold("/api/slow");
    const slow = tab.api.get("/api/slow");
    await until(() => server.count("/api/slow") === 1);
    server.expireAccessTokens();
    await tab.api.get("/api/quick");
    letGo();

    const answer = await slow;

    expect(answer.status).toBe(200);
    expect(server.count(REFRESH)).toBe(1);
  });

  test("from an endpoint that always says so costs one refresh and no logout", async ({
    server,
    tab,
  }) => {
    for (let n = 0; n < 20; n += 1) {
      await expect(tab.api.get("/api/always-401")).rejects.toMatchObject({
        response: { status: 401 },
      });
    }

    expect(server.count(REFRESH)).toBe(1);
    expect(tab.session.getSnapshot().status).toBe("authenticated");
  });

  test("from such an endpoint is believed again once the token is older", async ({
    server,
    tab,
  }) => {
    await tab.api.get("/api/always-401").catch(() => {});
    tab.clock.advance(31_000);
    server.expireAccessTokens();

    const answer = await tab.api.get("/api/items");

    expect(answer.status).toBe(200);
    expect(server.count(REFRESH)).toBe(2);
  });

  test("login_required_again is the caller's: no refresh", async ({ server, tab }) => {
    const refused = tab.api.get("/api/confirm-first");

    await expect(refused).rejects.toMatchObject({ response: { status: 401 } });
    expect(server.count(REFRESH)).toBe(0);
  });

  test("login_required_again is recognised in an ArrayBuffer too", async ({ server, tab }) => {
    const refused = tab.api.get("/api/confirm-first", { responseType: "arraybuffer" });

    await expect(refused).rejects.toMatchObject({ response: { status: 401 } });
    expect(server.count(REFRESH)).toBe(0);
  });

  test("session_revoked asks the refresh why, and ends the session", async ({ server, tab }) => {
    server.endSessions("revoked");

    const refused = tab.api.get("/api/items");

    await expect(refused).rejects.toThrow(SessionExpiredError);
    expect(tab.session.getSnapshot()).toMatchObject({
      status: "expired",
      code: "refresh_revoked",
      reason: "revoked",
    });
  });

  test("accepted by validateStatus is retried all the same", async ({ server, tab }) => {
    server.expireAccessTokens();

    const answer = await tab.api.get("/api/items", { validateStatus: () => true });

    expect(answer.status).toBe(200);
  });

  test("with an Authorization of the caller's own is the caller's", async ({ server, tab }) => {
    const own = tab.api.get("/api/items", { headers: { Authorization: "Bearer mine" } });

    await expect(own).rejects.toMatchObject({ response: { status: 401 } });
    expect(server.count(REFRESH)).toBe(0);
    expect(server.seen.at(-1)?.authorization).toBe("Bearer mine");
  });
});

describe("a token that is known to be over", () => {
  test("is not sent: 8 requests wait for one refresh", async ({ server, tab }) => {
    tab.clock.advance(1_800_000);

    await Promise.all(Array.from({ length: 8 }, () => tab.api.get("/api/items")));

    expect(server.count(REFRESH)).toBe(1);
    expect(server.count("/api/items")).toBe(8);
  });
});

describe("a waiting request", () => {
  test("leaves at once with a CanceledError when it is aborted; the others go on", async ({
    server,
    tab,
  }) => {
    server.expireAccessTokens();
    const letGo = server.hold(REFRESH);
    const stop = new AbortController();
    const aborted = tab.api.get("/api/a", { signal: stop.signal });
    const other = tab.api.get("/api/b");
    await until(() => server.count(REFRESH) === 1);

    stop.abort();

    await expect(aborted).rejects.toThrow(CanceledError);
    letGo();
    await expect(other).resolves.toMatchObject({ status: 200 });
    expect(server.count("/api/a")).toBe(1);
  });

  test("leaves at once when its cancel token is used", async ({ server, tab }) => {
    server.expireAccessTokens();
    const letGo = server.hold(REFRESH);
    const source = axios.CancelToken.source();
    const aborted = tab.api.get("/api/a", { cancelToken: source.token });
    await until(() => server.count(REFRESH) === 1);

    source.cancel("enough");

    await expect(aborted).rejects.toMatchObject({ message: "enough" });
    letGo();
  });

  test.for([
    { clarifyTimeoutError: false, code: "ECONNABORTED" },
    { clarifyTimeoutError: true, code: "ETIMEDOUT" },
  ])(
    "leaves with $code when its own time is over",
    async ({ clarifyTimeoutError, code }, { server, tab }) => {
      server.expireAccessTokens();
      const letGo = server.hold(REFRESH);
      const transitional = { clarifyTimeoutError };

      const hasty = tab.api.get("/api/a", { timeout: 100, transitional });

      await expect(hasty).rejects.toMatchObject({ code, message: "timeout of 100ms exceeded" });
      letGo();
      await until(() => tab.session.getSnapshot().status === "authenticated");
      expect(server.count("/api/a")).toBe(1);
    },
  );

  test("is never sent with another user's token", async ({ server, browser, tab }) => {
    const impatient = browser.open({ host: { locks: () => null } });
    await impatient.session.ready();
    server.expireAccessTokens();
    const letGo = server.hold(REFRESH);
    const annas = tab.api.post("/api/transfer", { amount: 100 });
    await until(() => server.count(REFRESH) === 1);

    await impatient.session.login(BERT);

    await expect(annas).rejects.toMatchObject({ name: "SessionExpiredError", code: "logged_out" });
    letGo();
    expect(server.count("/api/transfer")).toBe(1);
    expect(tab.session.getSnapshot()).toMatchObject({ userId: BERT.email });
  });

  test("that had been sent is not repeated with another user's token", async ({
    server,
    browser,
    tab,
  }) => {
    const letGo = server.hold("/api/transfer");
    const annas = tab.api.post("/api/transfer", { amount: 100 });
    await until(() => server.count("/api/transfer") === 1);
    server.expireAccessTokens();
    await browser.open().session.login(BERT);
    await until(() => tab.session.getSnapshot().userId === BERT.email);
    letGo();

    await expect(annas).rejects.toMatchObject({ name: "SessionExpiredError" });
    expect(server.count("/api/transfer")).toBe(1);
  });
});

describe("a body", () => {
  const bodyOf = async (data: unknown): Promise<Buffer> => {
    const chunks = await new Response(data as BodyInit).arrayBuffer();
    return Buffer.from(chunks);
  };

  test("of JSON is sent again byte for byte, whatever transformRequest does", async ({
    server,
    tab,
  }) => {
    server.expireAccessTokens();

    await tab.api.post(
      "/api/echo",
      { text: "Grüße", n: [1, { deep: true }] },
      {
        transformRequest: [(data) => `(${JSON.stringify(data)})`],
      },
    );

    const [first, second] = server.seen.filter(({ path }) => path === "/api/echo");
    expect(first?.body.toString()).toBe('({"text":"Grüße","n":[1,{"deep":true}]})');
    expect(second?.body).toEqual(first?.body);
    expect(second?.type).toBe(first?.type);
  });

  test("of binary data is sent again byte for byte", async ({ server, tab }) => {
    server.expireAccessTokens();
    const bytes = Buffer.from(Array.from({ length: 5_000 }, (_, n) => n % 256));

    await tab.api.post("/api/echo", new Blob([bytes], { type: "image/png" }));

    const [first, second] = server.seen.filter(({ path }) => path === "/api/echo");
    expect(first?.body).toEqual(bytes);
    expect(second?.body).toEqual(bytes);
  });

  test("of FormData is sent again byte for byte, boundary and all", async ({ server, tab }) => {
    server.expireAccessTokens();
    const form = new FormData();
    form.set("name", "Anna");
    form.set("file", new Blob(["x".repeat(5_000)]), "x.txt");

    await tab.api.post("/api/echo", form);

    const [first, second] = server.seen.filter(({ path }) => path === "/api/echo");
    expect(second?.body).toEqual(first?.body);
    expect(second?.type).toBe(first?.type);
    const headers = { "content-type": String(second?.type) };
    const parsed = await new Response(second?.body as BodyInit, { headers }).formData();
    expect(parsed.get("name")).toBe("Anna");
    expect(await bodyOf(parsed.get("file"))).toEqual(Buffer.from("x".repeat(5_000)));
  });

  test("that is a stream is not retried; the refresh serves those to come", async ({
    server,
    tab,
  }) => {
    server.expireAccessTokens();

    const refused = tab.api.post("/api/echo", Readable.from(["once"]));

    await expect(refused).rejects.toMatchObject({ response: { status: 401 } });
    await until(() => tab.session.getSnapshot().status === "authenticated");
    expect(server.count("/api/echo")).toBe(1);
    expect(server.count(REFRESH)).toBe(1);
  });

  test("that is a stream is preceded by a refresh when the token is nearly over", async ({
    server,
    tab,
  }) => {
    tab.clock.advance(1_775_000);

    await tab.api.get("/api/items");
    expect(server.count(REFRESH)).toBe(0);
    const answer = await tab.api.post("/api/echo", Readable.from(["once"]));

    expect(answer.status).toBe(200);
    expect(server.count(REFRESH)).toBe(1);
  });
});

describe("the token", () => {
  test.for([
    { url: "https://evil.example/api", goes: false },
    { url: "//evil.example/api", goes: false },
    { url: "/\\evil.example/api", goes: false },
    { url: "\t//evil.example", goes: false },
    { url: "data:text/plain,x", goes: false },
    { url: "https://files.example/x", goes: true },
    { url: "https://files.example:8443/x", goes: false },
    { url: "https://files.example.evil/x", goes: false },
    { url: "/api/items", goes: true },
    { url: "items", goes: true },
    { url: "/auth/refresh", goes: false },
    { url: "/auth/token", goes: false },
    { url: "/auth/logout", goes: false },
    { url: "/auth/register", goes: false },
    { url: "/auth/me", goes: true },
    { url: "/auth/token-history", goes: true },
    { url: "/auth/./token", goes: false },
  ])("to $url: $goes", ({ url, goes }, { browser }) => {
    const { session } = browser.open({ origins: ["https://files.example/ignored/path"] });

    expect(session.covers(url)).toBe(goes);
  });

  test.for(["http", "fetch"] as const)(
    "goes with %s neither to another origin nor along a redirect",
    async (adapter, { server, tab }) => {
      const other = await startServer();
      const redirect: Parameters<Server["fault"]>[1] = (_, response) =>
        response.writeHead(302, { location: `${other.origin}/api/public` }).end();
      server.fault("/api/moved", redirect);

      const direct = await tab.api.get(`${other.origin}/api/public`, { adapter });
      const moved = await tab.api.get("/api/moved", { adapter });

      expect(server.seen.at(-1)?.authorization).toMatch(/^Bearer /);
      expect([direct.data, moved.data]).toEqual([{}, {}]);
      expect(other.count("/api/public")).toBe(2);
      await other.close();
    },
  );

  test("is never shown by an error's or an answer's config", async ({ tab }) => {
    const answer = await tab.api.get("/api/items");
    const error = await tab.api.get("/api/always-401").catch((reason: unknown) => reason);

    expect(JSON.stringify(answer.config)).not.toContain("Bearer");
    expect(JSON.stringify((error as { config: unknown }).config)).not.toContain("Bearer");
  });

  test("is added again when a plugin sends the whole request once more", async ({
    server,
    tab,
  }) => {
    const answer = await tab.api.get("/api/items");
    server.expireAccessTokens();

    const again = await tab.api.request(answer.config);

    expect(again.status).toBe(200);
    expect(server.count("/api/items")).toBe(3);
  });

  test("is absent while nobody is signed in", async ({ server, browser }) => {
    const { api } = browser.open();

    const { data } = await api.get("/api/public");

    expect(data).toEqual({});
    await expect(api.get("/api/items")).rejects.toMatchObject({ response: { status: 401 } });
    expect(server.count(REFRESH)).toBe(1);
  });
});

describe("while the server is away", () => {
  test("requests fail with SessionUnavailableError, until it is back", async ({ server, tab }) => {
    server.expireAccessTokens();
    server.fault(REFRESH, (_, response) => response.writeHead(503).end(), 1);

    const failed = await tab.api.get("/api/items").catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(SessionUnavailableError);
    expect(failed).toMatchObject({ retryInMs: 1_000 });
    tab.clock.advance(1_100);
    await until(() => tab.session.getSnapshot().status === "authenticated");

    await expect(tab.api.get("/api/items")).resolves.toMatchObject({ status: 200 });
  });

  test("a token that is still good goes on being used", async ({ server, tab, browser }) => {
    browser.jar.set("session_state", "00000001.0");
    tab.clock.advance(1_790_000);
    server.fault(REFRESH, (_, response) => response.writeHead(503).end());
    const stream = tab.api.post("/api/echo", Readable.from(["once"]));

    await expect(stream).resolves.toMatchObject({ status: 200 });
    await expect(tab.api.get("/api/items")).resolves.toMatchObject({ status: 200 });
    expect(tab.session.getSnapshot().status).toBe("unreachable");
  });
});

test("after the session's end requests fail with the login link back to this page", async ({
  server,
  tab,
}) => {
  server.endSessions("password");
  await tab.api.get("/api/items").catch(() => {});

  const refused = tab.api.get("/api/items");

  await expect(refused).rejects.toMatchObject({
    name: "SessionExpiredError",
    code: "refresh_revoked",
    reason: "password",
    loginUrl: "/login?return_to=%2Finbox%3Fpage%3D2",
  });
  expect(server.count(REFRESH)).toBe(1);
});

test("a login after the session's end lets requests through again", async ({ server, tab }) => {
  server.endSessions("password");
  await tab.api.get("/api/items").catch(() => {});

  await tab.session.login(ANNA);

  await expect(tab.api.get("/api/items")).resolves.toMatchObject({ status: 200 });
});
