import type { ServerResponse } from "node:http";
import { describe, expect } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { eventSource, type Live, webSocket } from "../src/live.ts";
import { ANNA, BERT, test as base, until } from "./support/world.ts";

const REFRESH = "/auth/refresh";

/** Everything that a connection told, in order. */
function listen(live: Live, ...types: readonly string[]): string[] {
  const told: string[] = [];
  for (const type of ["open", "message", "close", ...types]) {
    live.addEventListener(type, (event) => {
      told.push("data" in event ? `${type} ${event.data}` : type);
    });
  }
  return told;
}

interface Streams {
  /** The answers that the route has begun, each with a good token. */
  readonly answers: ServerResponse[];
  readonly tokens: (string | undefined)[];
  readonly open: () => Live;
}

const sseTest = base.extend<{ streams: Streams }>({
  streams: async ({ server, tab }, use) => {
    const answers: ServerResponse[] = [];
    const tokens: (string | undefined)[] = [];
    server.stream("/api/stream", ({ authorization }, response) => {
      tokens.push(authorization);
      answers.push(response);
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write("retry: 5\n\n");
    });
    const lives: Live[] = [];
    await use({
      answers,
      tokens,
      open: () => {
        const live = eventSource(tab.session, `${server.origin}/api/stream`, { host: tab.clock });
        lives.push(live);
        return live;
      },
    });
    for (const live of lives) live.close();
  },
});

describe("eventSource", () => {
  sseTest("tells what the server sends, with names", async ({ streams }) => {
    const told = listen(streams.open(), "tick");
    await until(() => streams.answers.length === 1);

    streams.answers[0]?.write("data: a\n\nevent: tick\ndata: 1\n\n");

    await until(() => told.length === 3);
    expect(told).toEqual(["open", "message a", "tick 1"]);
  });

  sseTest(
    "connects again with a fresh token, from where it was",
    async ({ server, streams, tab }) => {
      const told = listen(streams.open());
      await until(() => streams.answers.length === 1);
      streams.answers[0]?.write("id: 7\ndata: a\n\n");
      await until(() => told.includes("message a"));
      server.expireAccessTokens();

      streams.answers[0]?.end();
      await until(() => tab.clock.waits(1_000));
      tab.clock.advance(2_000);

      await until(() => streams.answers.length === 2);
      expect(server.count(REFRESH)).toBe(1);
      expect(new Set(streams.tokens).size).toBe(2);
      expect(streams.answers[1]?.req.headers["last-event-id"]).toBe("7");
    },
  );

  sseTest(
    "waits longer after each failure, and as long as the server says",
    async ({ server, streams, tab }) => {
      server.fault("/api/stream", (_, response) => response.writeHead(503).end(), 2);
      streams.open();
      await until(() => tab.clock.waits(1_000));
      tab.clock.advance(1_500);
      await until(() => server.count("/api/stream") === 2);
      await until(() => tab.clock.waits(2_000));

      tab.clock.advance(1_500);
      await new Promise((later) => setTimeout(later, 20));
      expect(server.count("/api/stream")).toBe(2);
      tab.clock.advance(1_500);

      await until(() => streams.answers.length === 1);
    },
  );

  sseTest(
    "waits while the session's server is away, and goes on",
    async ({ server, streams, tab }) => {
      const told = listen(streams.open());
      await until(() => streams.answers.length === 1);
      server.expireAccessTokens();
      server.fault(REFRESH, (_, response) => response.writeHead(503).end(), 1);
      streams.answers[0]?.end();
      await until(() => tab.clock.waits(1_000));
      tab.clock.advance(2_000);
      await until(() => tab.session.getSnapshot().status === "unreachable");
      await until(() => tab.clock.waits(1_000));

      tab.clock.advance(2_000);

      await until(() => told.length === 2);
      expect(told).toEqual(["open", "open"]);
      expect(streams.answers).toHaveLength(2);
    },
  );

  sseTest("ends with a logout, before anybody else logs in", async ({ streams, tab }) => {
    const told = listen(streams.open());
    await until(() => told.length === 1);

    await tab.session.logout();
    await tab.session.login(BERT);

    await until(() => told.length === 2);
    expect(told).toEqual(["open", "close"]);
    await until(() => streams.answers[0]?.destroyed ?? false);
  });

  sseTest("ends with the session", async ({ server, streams, tab }) => {
    const told = listen(streams.open());
    await until(() => told.length === 1);
    server.endSessions("revoked");

    await tab.api.get("/api/items").catch(() => {});

    await until(() => told.at(-1) === "close");
  });

  sseTest.for([
    { why: "the server wants no more", status: 204, requests: 1, refreshes: 0 },
    { why: "it is forbidden", status: 403, requests: 1, refreshes: 0 },
    { why: "it is always 401", status: 401, requests: 2, refreshes: 1 },
  ])("ends where $why", async ({ status, requests, refreshes }, { server, streams, tab }) => {
    server.fault("/api/stream", (_, response) => response.writeHead(status).end());

    const told = listen(streams.open());

    await until(() => told.length === 1);
    expect(told).toEqual(["close"]);
    expect(server.count("/api/stream")).toBe(requests);
    expect(server.count(REFRESH)).toBe(refreshes);
    expect(tab.session.getSnapshot().status).toBe("authenticated");
  });

  sseTest("does not give the token to another origin", ({ tab }) => {
    expect(() => eventSource(tab.session, "https://evil.example/stream")).toThrow(
      "The session's token may not go to https://evil.example/stream.",
    );
  });
});

interface Sockets {
  readonly url: string;
  /** As a server sees them: what each was opened with, and said. */
  readonly seen: { readonly socket: WebSocket; readonly url: string; readonly said: string[] }[];
}

const wsTest = base.extend<{ sockets: Sockets }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads the dependencies from the pattern
  sockets: async ({}, use) => {
    const seen: Sockets["seen"] = [];
    const server = new WebSocketServer({
      port: 0,
      host: "127.0.0.1",
      handleProtocols: (protocols) => (protocols.has("bearer") ? "bearer" : false),
    });
    server.on("connection", (socket, request) => {
      const said: string[] = [...(request.headers["sec-websocket-protocol"]?.split(", ") ?? [])];
      seen.push({ socket, url: request.url ?? "", said });
      socket.on("message", (data) => said.push(String(data)));
    });
    await new Promise((listening) => server.once("listening", listening));
    const { port } = server.address() as { port: number };
    await use({ url: `ws://127.0.0.1:${port}/live`, seen });
    for (const client of server.clients) client.terminate();
    server.close();
  },
});

describe("webSocket", () => {
  /** A session whose token may go to the sockets' server. */
  const open = wsTest.extend<{ live: ReturnType<typeof webSocket>; told: string[] }>({
    live: async ({ server, browser, sockets }, use) => {
      const origin = sockets.url.replace("ws:", "http:");
      const { session, clock } = browser.open({ origins: [origin] });
      await session.login(ANNA);
      server.forget();
      const live = webSocket(session, sockets.url, { host: { ...clock, random: () => 0 } });
      await use(live);
      live.close();
    },
    told: async ({ live }, use) => use(listen(live)),
  });

  open("sends the token first, never in the address", async ({ live, told, sockets }) => {
    await until(() => told.length === 1);

    expect(live.send("hello")).toBe(true);

    await until(() => sockets.seen[0]?.said.length === 2);
    expect(sockets.seen[0]?.url).toBe("/live");
    expect(JSON.parse(sockets.seen[0]?.said[0] ?? "")).toEqual({
      type: "authenticate",
      token: expect.stringMatching(/^h\..+\.s$/),
    });
    expect(sockets.seen[0]?.said[1]).toBe("hello");
  });

  open(
    "tells what comes, and that nothing can be sent meanwhile",
    async ({ live, told, sockets }) => {
      await until(() => told.length === 1);
      sockets.seen[0]?.socket.send("a");
      await until(() => told.length === 2);

      sockets.seen[0]?.socket.terminate();

      await until(() => !live.send("lost"));
      expect(told).toEqual(["open", "message a"]);
    },
  );

  open(
    "refused for its token, it comes again with a fresh one at once",
    async ({ server, told, sockets }) => {
      await until(() => told.length === 1);

      sockets.seen[0]?.socket.close(3000, "token_invalid");

      await until(() => sockets.seen[1]?.said.length === 1);
      expect(server.count(REFRESH)).toBe(1);
      expect(sockets.seen[1]?.said[0]).not.toBe(sockets.seen[0]?.said[0]);
    },
  );

  open(
    "refused again and again, it ends: one refresh, no logout",
    async ({ server, told, sockets }) => {
      for (let n = 0; n < 2; n += 1) {
        await until(() => sockets.seen[n]?.said.length === 1);
        sockets.seen[n]?.socket.close(4401);
      }

      await until(() => told.at(-1) === "close");
      expect(server.count(REFRESH)).toBe(1);
      expect(sockets.seen).toHaveLength(2);
    },
  );

  open("closed by the server as done, it stays so", async ({ told, sockets }) => {
    await until(() => told.length === 1);

    sockets.seen[0]?.socket.close(1000);

    await until(() => told.at(-1) === "close");
  });

  wsTest(
    "offers the token as a subprotocol where that is asked for",
    async ({ browser, sockets }) => {
      const { session } = browser.open({ origins: [sockets.url.replace("ws:", "http:")] });
      await session.login(ANNA);

      const live = webSocket(session, sockets.url, { tokenIn: "subprotocol" });

      await until(() => sockets.seen.length === 1);
      expect(sockets.seen[0]?.said).toEqual(["bearer", await session.token()]);
      live.close();
    },
  );

  wsTest("ends when another user logs in in another tab", async ({ browser, sockets }) => {
    const { session } = browser.open({ origins: [sockets.url.replace("ws:", "http:")] });
    await session.login(ANNA);
    const told = listen(webSocket(session, sockets.url));
    await until(() => told.length === 1);

    await browser.open().session.login(BERT);

    await until(() => told.at(-1) === "close");
    await until(() => sockets.seen[0]?.socket.readyState === WebSocket.CLOSED);
  });
});
