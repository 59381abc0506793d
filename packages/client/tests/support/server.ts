/**
 * A server that keeps the contract as far as a client can see it: real HTTP, real cookies, families with
 * generations, repeats within grace, reuse. Faults are put in front of a route, one request each.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

interface Family {
  readonly id: string;
  readonly user: string;
  generation: number;
  ended: string | null;
  /** The password was shown a second time. */
  confirmed: boolean;
  readonly accessTokens: Set<string>;
}

export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
  readonly type: string | undefined;
  readonly body: Buffer;
}

type Fault = (request: Seen, response: ServerResponse) => void;

export interface Server {
  readonly origin: string;
  readonly seen: Seen[];
  /** Forget what was seen. */
  readonly forget: () => void;
  /** How often the route was asked. */
  readonly count: (path: string) => number;
  /** The next request to `path` gets this instead; it changes nothing. */
  readonly fault: (path: string, fault: Fault, times?: number) => void;
  /** The route answers so to those who may; what it writes may come bit by bit. */
  readonly stream: (path: string, answer: Fault) => void;
  /** Ends all access tokens' lives, but no session. */
  readonly expireAccessTokens: () => void;
  readonly endSessions: (reason: string) => void;
  /** Holds every answer of `path` back until the returned function is called. */
  readonly hold: (path: string) => () => void;
  expiresIn: number;
  /** Generations that a spent token may be behind and still get the successor again; 0: strict. */
  grace: number;
  readonly close: () => Promise<void>;
}

const ALWAYS = Number.POSITIVE_INFINITY;

export async function startServer(): Promise<Server> {
  const families = new Map<string, Family>();
  const faults = new Map<string, { fault: Fault; times: number }>();
  const holds = new Map<string, Promise<void>>();
  const seen: Seen[] = [];
  let issued = 0;

  const send = (response: ServerResponse, status: number, json?: unknown): void => {
    response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" });
    response.end(json === undefined ? undefined : JSON.stringify(json));
  };
  const refuse = (response: ServerResponse, status: number, code: string, more = {}): void =>
    send(response, status, { detail: `No: ${code}`, code, ...more });

  function answerToken(response: ServerResponse, family: Family): void {
    issued += 1;
    const payload = { sub: family.user, sid: family.id, n: issued };
    const token = `h.${Buffer.from(JSON.stringify(payload)).toString("base64url")}.s`;
    family.accessTokens.add(token);
    response.setHeader("set-cookie", [
      `refresh_token=${family.id}.${family.generation}; HttpOnly; Path=/`,
      `session_state=${family.id.slice(-8)}.${family.generation}; Path=/`,
    ]);
    send(response, 200, {
      access_token: token,
      token_type: "bearer",
      expires_in: server.expiresIn,
      session_id: family.id,
      generation: family.generation,
    });
  }

  function familyOf(request: IncomingMessage): [Family | undefined, number] {
    const cookie = /(?:^|; )refresh_token=([^.;]+)\.(\d+)/.exec(request.headers.cookie ?? "");
    return [families.get(cookie?.[1] ?? ""), Number(cookie?.[2])];
  }

  const bearer = ({ authorization }: Seen): Family | undefined =>
    [...families.values()].find(({ accessTokens }) =>
      accessTokens.has(authorization?.replace("Bearer ", "") ?? ""),
    );

  type Route = (at: Seen, request: IncomingMessage, response: ServerResponse) => void;

  const logIn: Route = (at, request, response) => {
    const form = new URLSearchParams(at.body.toString());
    if (form.get("password") !== "secret") {
      refuse(response, 401, "invalid_credentials");
      return;
    }
    const user = form.get("username") ?? "";
    const id = `0199-${String(families.size + 1).padStart(8, "0")}`;
    const family: Family = {
      id,
      user,
      generation: 0,
      ended: null,
      confirmed: false,
      accessTokens: new Set(),
    };
    const [replaced] = familyOf(request);
    if (replaced) replaced.ended ??= "logout";
    families.set(id, family);
    answerToken(response, family);
  };

  const refresh: Route = (_, request, response) => {
    const [family, generation] = familyOf(request);
    const behind = family ? family.generation - generation : 0;
    if (!family) {
      refuse(response, 401, "refresh_missing");
    } else if (family.ended) {
      refuse(response, 401, "refresh_revoked", { reason: family.ended });
    } else if (behind > server.grace) {
      family.ended = "reused";
      refuse(response, 401, "refresh_reused");
    } else {
      if (behind === 0) family.generation += 1;
      answerToken(response, family);
    }
  };

  const logOut: Route = (at, request, response) => {
    for (const family of [familyOf(request)[0], bearer(at)]) if (family) family.ended ??= "logout";
    const gone = "=; Path=/; Max-Age=0";
    response.setHeader("set-cookie", [`refresh_token${gone}`, `session_state${gone}`]);
    response.writeHead(204).end();
  };

  const register: Route = ({ body }, _, response) =>
    send(response, 201, { id: "7", email: JSON.parse(body.toString()).email });

  const changeRights: Route = (at, _, response) => {
    const family = bearer(at);
    const { password, current_password } = JSON.parse(at.body.toString());
    if (!family) {
      refuse(response, 401, "token_invalid");
    } else if ((password ?? current_password) !== "secret") {
      refuse(response, 403, "wrong_password");
    } else {
      family.generation += 1;
      family.confirmed = true;
      answerToken(response, family);
    }
  };

  const confirmFirst: Route = (at, request, response) => {
    if (bearer(at)?.confirmed) anything(at, request, response);
    else refuse(response, 401, "login_required_again");
  };

  const anything: Route = (at, _, response) => {
    const { path, type, body } = at;
    const family = bearer(at);
    if (!family) refuse(response, 401, "token_invalid");
    else if (family.ended) refuse(response, 401, "session_revoked", { reason: family.ended });
    else send(response, 200, { user: family.user, path, type, body: body.toString("base64") });
  };

  const routes: Record<string, Route> = {
    "/auth/token": logIn,
    "/auth/refresh": refresh,
    "/auth/logout": logOut,
    "/auth/register": register,
    "/auth/password": changeRights,
    "/auth/confirm": changeRights,
    "/api/always-401": (_, __, response) => refuse(response, 401, "token_invalid"),
    "/api/confirm-first": confirmFirst,
    "/api/public": ({ authorization }, _, response) => send(response, 200, { authorization }),
  };

  const http = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const path = (request.url ?? "").replace(/\?.*/, "");
    const { authorization, "content-type": type } = request.headers;
    const method = request.method ?? "";
    const at: Seen = { method, path, authorization, type, body: Buffer.concat(chunks) };
    seen.push(at);
    await holds.get(path);
    const fault = faults.get(path);
    if (fault && fault.times > 0) {
      fault.times -= 1;
      fault.fault(at, response);
    } else (routes[path] ?? anything)(at, request, response);
  });
  await new Promise<void>((listening) => http.listen(0, "127.0.0.1", listening));

  const server: Server = {
    origin: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    seen,
    expiresIn: 1_800,
    grace: 0,
    forget: () => void seen.splice(0),
    count: (path) => seen.filter((at) => at.path === path).length,
    fault: (path, fault, times = ALWAYS) => faults.set(path, { fault, times }),
    stream(path, answer) {
      routes[path] = (at, request, response) => {
        if (bearer(at)) answer(at, response);
        else anything(at, request, response);
      };
    },
    expireAccessTokens() {
      for (const { accessTokens } of families.values()) accessTokens.clear();
    },
    endSessions(reason) {
      for (const family of families.values()) family.ended ??= reason;
    },
    hold(path) {
      let letGo = (): void => {};
      holds.set(path, new Promise((resolve) => (letGo = resolve)));
      return () => {
        holds.delete(path);
        letGo();
      };
    },
    close: () =>
      new Promise((closed) => {
        http.close(() => closed());
        http.closeAllConnections();
      }),
  };
  return server;
}
