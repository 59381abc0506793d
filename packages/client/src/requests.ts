/**
 * Requests to the auth routes: sent with the cookie, never redirected, never longer than their time.
 */
import { ApiError } from "./errors.ts";
import type { Host } from "./types.ts";

const UNEXPECTED = "The server gave an unexpected answer. Please try again.";

export interface Answer {
  readonly status: number;
  /** The parsed body; null where it is no JSON. */
  readonly json: Readonly<Record<string, unknown>> | null;
  /** From Retry-After in seconds. (A date would have to be held against a clock that may be wrong.) */
  readonly retryAfterMs: number | null;
}

export interface Post {
  readonly body?: BodyInit;
  readonly token?: string | null | undefined;
  /** Ends the request early. */
  readonly signal?: AbortSignal;
}

/** POST, and read the whole answer, within `timeoutMs`. Rejects where no answer came. */
export async function post(
  host: Host,
  url: string,
  timeoutMs: number,
  { body, token, signal }: Post = {},
): Promise<Answer> {
  const timeout = new AbortController();
  const cancel = host.after(timeoutMs, () => timeout.abort());
  try {
    const response = await host.fetch(url, {
      method: "POST",
      headers: token ? { Authorization: `Bearer ${token}` } : {},
      body: body ?? null,
      signal: AbortSignal.any([timeout.signal, ...(signal ? [signal] : [])]),
      // The answer's cookie is stored although the tab closes meanwhile; with XMLHttpRequest it is lost.
      keepalive: true,
      credentials: "include",
      redirect: "error",
      cache: "no-store",
    });
    return {
      status: response.status,
      json: parse(await response.text()),
      retryAfterMs: Number(response.headers.get("Retry-After")) * 1_000 || null,
    };
  } finally {
    cancel();
  }
}

/** As `post`, for forms: whatever is not a success is an `ApiError`. */
export async function submit(...request: Parameters<typeof post>): Promise<Answer> {
  const answer = await post(...request).catch(() => {
    throw new ApiError(0, "unreachable", "The server cannot be reached. Please try again.");
  });
  const { status, json } = answer;
  return status >= 200 && status < 300 && (json || status === 204) ? answer : refuse(answer);
}

/** What the server said, where it is one of ours. */
export function refuse({ status, json, retryAfterMs }: Answer): never {
  const { code = "unexpected", detail = UNEXPECTED } = json ?? {};
  throw new ApiError(status, String(code), String(detail), retryAfterMs);
}

/** A body of JSON, which brings its Content-Type along. */
export const asJson = (value: unknown): Blob =>
  new Blob([JSON.stringify(value)], { type: "application/json" });

function parse(body: string): Answer["json"] {
  try {
    return JSON.parse(body);
  } catch {
    return null;
  }
}
