/**
 * The binding to fetch: the same function, with the session's token where it may go.
 *
 * The request is made once and sent as a copy, so the second try is byte for byte the first, boundary of a
 * form included. A redirect to another origin loses the token: that is fetch's own rule.
 *
 * Source: Fetch Standard, "HTTP-redirect fetch", step 13.
 */
import { codeIn, withToken } from "./attempts.ts";
import type { Session } from "./types.ts";

/** As `fetch` (or as `send`, a fetch of your own), each request with the session's token, refreshed and retried. */
export function createFetch(
  session: Session,
  send: typeof fetch = (...request) => fetch(...request),
): typeof fetch {
  return async (input, init) => {
    const url = input instanceof Request ? input.url : String(input);
    if (!session.covers(url)) return send(input, init);
    const request = new Request(input, init);
    if (request.headers.has("Authorization")) return send(request);
    const isSentOnce = init?.body instanceof ReadableStream;
    return withToken(session, {
      isSentOnce,
      signal: request.signal,
      send(token) {
        const copy = isSentOnce ? request : request.clone();
        if (token !== null) copy.headers.set("Authorization", `Bearer ${token}`);
        return send(copy);
      },
      refusal: async (response) => (response.status === 401 ? await codeOf(response) : undefined),
    });
  };
}

/** From a copy: the caller may read the answer itself. An endless stream is never waited for. */
async function codeOf(response: Response): Promise<string | null> {
  const isJson = response.headers.get("Content-Type")?.includes("json");
  return isJson ? codeIn(await response.clone().text()) : null;
}
