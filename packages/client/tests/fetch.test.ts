import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, vi } from "vitest";
import { createFetch } from "../src/fetch.ts";
import { ANNA, test as base, until } from "./support/world.ts";

const REFRESH = "/auth/refresh";

interface Fixtures {
  readonly api: typeof fetch;
  /** The app's own address, which takes a path. */
  readonly at: (path: string) => string;
  /** Another origin, and what it was sent. */
  readonly elsewhere: { readonly origin: string; readonly seen: IncomingMessage[] };
}

const test = base.extend<Fixtures>({
  api: async ({ tab }, use) => use(createFetch(tab.session)),
  at: async ({ server }, use) => use((path) => server.origin + path),
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads the dependencies from the pattern
  elsewhere: async ({}, use) => {
    const seen: IncomingMessage[] = [];
    const http = createServer((request, response) => {
      seen.push(request);
      response.end("{}");
    });
    await new Promise<void>((listening) => http.listen(0, "127.0.0.1", listening));
    await use({ origin: `http://127.0.0.1:${(http.address() as AddressInfo).port}`, seen });
    http.close();
  },
});

test("adds the token", async ({ server, api, at }) => {
  const response = await api(at("/api/items"));

  expect(await response.json()).toMatchObject({ user: ANNA.email, path: "/api/items" });
  expect(server.count(REFRESH)).toBe(0);
});

describe("a 401", () => {
  test("50 at once share one refresh, and each request is retried once", async ({
    server,
    api,
    at,
  }) => {
    server.expireAccessTokens();
    const paths = Array.from({ length: 50 }, (_, n) => `/api/items/${n}`);

    const answers = await Promise.all(paths.map((path) => api(at(path))));

    expect(answers.map(({ status }) => status)).toEqual(paths.map(() => 200));
    expect(server.count(REFRESH)).toBe(1);
    expect(paths.map(server.count)).toEqual(paths.map(() => 2));
  });

  test("from an endpoint that always says so costs one refresh, and can be read", async ({
    server,
    tab,
    api,
    at,
  }) => {
    for (let n = 0; n < 20; n += 1) {
      const response = await api(at("/api/always-401"));
      expect(await response.json()).toMatchObject({ code: "token_invalid" });
    }

    expect(server.count(REFRESH)).toBe(1);
    expect(tab.session.getSnapshot().status).toBe("authenticated");
  });

  test("login_required_again is the caller's, who can read it", async ({ server, api, at }) => {
    const response = await api(at("/api/confirm-first"));

    expect(await response.json()).toMatchObject({ code: "login_required_again" });
    expect(server.count(REFRESH)).toBe(0);
  });

  test("whose body never ends is not waited for", async ({ server, api, at }) => {
    server.fault("/api/endless", (_, response) => {
      response.writeHead(401, { "content-type": "text/event-stream" });
      response.write(": on and on\n");
    });

    const { status } = await api(at("/api/endless"));

    expect(status).toBe(401);
  });

  test("of a session that has ended fails with the login link", async ({ server, api, at }) => {
    server.endSessions("revoked");

    await expect(api(at("/api/items"))).rejects.toMatchObject({
      name: "SessionExpiredError",
      reason: "revoked",
      loginUrl: "/login?return_to=%2Finbox%3Fpage%3D2",
    });
  });

  test("with an Authorization of the caller's own is the caller's", async ({ server, api, at }) => {
    const { status } = await api(at("/api/items"), { headers: { Authorization: "Bearer mine" } });

    expect(status).toBe(401);
    expect(server.seen.map(({ authorization }) => authorization)).toEqual(["Bearer mine"]);
  });
});

test("a waiting request leaves at once when it is aborted", async ({ server, api, at }) => {
  server.expireAccessTokens();
  const letGo = server.hold(REFRESH);
  const stop = new AbortController();
  const aborted = api(at("/api/a"), { signal: stop.signal });
  await until(() => server.count(REFRESH) === 1);

  stop.abort();

  await expect(aborted).rejects.toMatchObject({ name: "AbortError" });
  letGo();
});

describe("a body", () => {
  const form = new FormData();
  form.set("name", "Anna");
  form.set("file", new Blob(["x".repeat(5_000)]), "x.txt");

  test.for([
    { kind: "JSON", body: '{"text":"Grüße"}' },
    { kind: "a form with a file", body: form },
    { kind: "a Blob", body: new Blob([new Uint8Array(5_000).fill(7)], { type: "image/png" }) },
    { kind: "parameters", body: new URLSearchParams({ a: "1 & 2" }) },
  ])("of $kind is sent again byte for byte", async ({ body }, { server, api, at }) => {
    server.expireAccessTokens();

    const response = await api(at("/api/echo"), { method: "POST", body });

    expect(response.status).toBe(200);
    const [first, second] = server.seen.filter(({ path }) => path === "/api/echo");
    expect(first?.body.length).toBeGreaterThan(0);
    expect(second?.body).toEqual(first?.body);
    expect(second?.type).toBe(first?.type);
  });

  test("of a Request is sent again byte for byte", async ({ server, api, at }) => {
    server.expireAccessTokens();
    const request = new Request(at("/api/echo"), { method: "POST", body: '{"n":1}' });

    const { status } = await api(request);

    expect(status).toBe(200);
    const bodies = server.seen
      .filter(({ path }) => path === "/api/echo")
      .map(({ body }) => `${body}`);
    expect(bodies).toEqual(['{"n":1}', '{"n":1}']);
  });

  const stream = (): RequestInit => ({
    method: "POST",
    body: new Blob(["once"]).stream(),
    // @ts-expect-error: fetch asks for it with streams; the DOM's types do not know it yet
    duplex: "half",
  });

  test("that is a stream is not retried; the refresh serves those to come", async ({
    server,
    tab,
    api,
    at,
  }) => {
    server.expireAccessTokens();

    const { status } = await api(at("/api/echo"), stream());

    expect(status).toBe(401);
    await until(() => tab.session.getSnapshot().status === "authenticated");
    expect(server.count("/api/echo")).toBe(1);
    expect(server.count(REFRESH)).toBe(1);
  });

  test("that is a stream is preceded by a refresh when the token is nearly over", async ({
    server,
    tab,
    api,
    at,
  }) => {
    tab.clock.advance(1_775_000);

    await api(at("/api/items"));
    expect(server.count(REFRESH)).toBe(0);
    const { status } = await api(at("/api/echo"), stream());

    expect(status).toBe(200);
    expect(server.count(REFRESH)).toBe(1);
  });
});

describe("the token", () => {
  test.for(["http://", "//"])(
    "does not go to another origin, named by %s",
    async (scheme, { tab, elsewhere }) => {
      const send = vi.fn(async () => new Response());
      const url = elsewhere.origin.replace("http://", scheme);

      await createFetch(tab.session, send)(url);

      expect(send).toHaveBeenCalledExactlyOnceWith(url, undefined);
    },
  );

  test("does not follow a redirect to another origin", async ({ server, api, at, elsewhere }) => {
    server.fault("/api/moved", (_, response) =>
      response.writeHead(302, { location: elsewhere.origin }).end(),
    );

    await api(at("/api/moved"));

    expect(server.seen.at(-1)?.authorization).toMatch(/^Bearer /);
    expect(elsewhere.seen.map(({ headers }) => headers.authorization)).toEqual([undefined]);
  });

  test("is not left in the caller's Request", async ({ api, at }) => {
    const request = new Request(at("/api/items"));

    await api(request);

    expect(request.headers.has("Authorization")).toBe(false);
  });
});
