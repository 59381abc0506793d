/**
 * What lies between a browser and the server. It counts refreshes where all clients can be counted alike, and
 * loses an answer where it is told to: the server has rotated, the browser hears nothing.
 */
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Wire {
  /** Where the browser finds the server. */
  readonly origin: string;
  /** Refreshes that the server has answered, whether or not that arrived. */
  readonly refreshes: () => number;
  /** Sessions of which the server has refused a refresh with 401, by the readable cookie's name for them. */
  readonly ended: ReadonlySet<string>;
  /** The first answer to a refresh from now on is lost; `false`: none is. */
  readonly lose: (isOn: boolean) => void;
  readonly close: () => Promise<void>;
}

export async function startWire(server: string): Promise<Wire> {
  let refreshes = 0;
  const ended = new Set<string>();
  let losing = false;

  function pass(asked: IncomingMessage, answer: IncomingMessage, response: ServerResponse): void {
    const [, session] = /session_state=([\w-]+)/.exec(asked.headers.cookie ?? "") ?? [];
    if (asked.url === "/auth/refresh" && session) {
      refreshes += 1;
      if (answer.statusCode === 401) ended.add(session);
      if (losing) {
        losing = false;
        answer.resume();
        response.destroy();
        return;
      }
    }
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  }

  const http = createServer((asked, response) => {
    const { method = "GET", url = "/", headers } = asked;
    const onward = request(new URL(url, server), { method, headers }, (answer) =>
      pass(asked, answer, response),
    );
    onward.on("error", () => response.destroy());
    asked.pipe(onward);
  });
  await new Promise<void>((listening) => http.listen(0, "127.0.0.1", listening));

  return {
    origin: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    refreshes: () => refreshes,
    ended,
    lose(isOn) {
      losing = isOn;
    },
    close: () =>
      new Promise((closed) => {
        http.close(() => closed());
        http.closeAllConnections();
      }),
  };
}
