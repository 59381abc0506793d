/**
 * Requests to the auth routes: sent with the cookie, never redirected, never longer than their time.
 */
import { ApiError } from "./errors.ts";
import type { Host } from "./types.ts";

export interface Answer {
  readonly status: number;
  /** The parsed body; null where it is no JSON object. */
  readonly json: Readonly<Record<string, unknown>> | null;
  /** From Retry-After in seconds. (A date would have to be held against a clock that may be wrong.) */
  readonly retryAfterMs: number | null;
}

export interface Post {
  readonly body?: URLSearchParams | Readonly<Record<string, unknown>>;
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
  const isForm = body instanceof URLSearchParams;
  const headers: Record<string, string> = { Accept: "application/json" };
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body && !isForm) headers["Content-Type"] = "application/json";
  const timeout = new AbortController();
  const cancel = host.after(timeoutMs, () => timeout.abort());
  try {
    const response = await host.fetch(url, {
      method: "POST",
      headers,
      body: body && !isForm ? JSON.stringify(body) : (body ?? null),
      signal: signal ? AbortSignal.any([signal, timeout.signal]) : timeout.signal,
      // The answer's cookie is stored although the tab closes meanwhile; with XMLHttpRequest it is lost.
      keepalive: true,
      credentials: "include",
      redirect: "error",
      cache: "no-store",
    });
    const text = await response.text();
    const seconds = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
    return {
      status: response.status,
      json: parse(text),
      retryAfterMs: Number.isNaN(seconds) ? null : seconds * 1_000,
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
  if (answer.status >= 200 && answer.status < 300 && (answer.json || answer.status === 204)) {
    return answer;
  }
  throw refusal(answer);
}

export function refusal({ status, json, retryAfterMs }: Answer): ApiError {
  return new ApiError(
    status,
    text(json?.code) ?? "unexpected",
    text(json?.detail) ?? "The server gave an unexpected answer. Please try again.",
    retryAfterMs,
  );
}

const text = (value: unknown): string | null => (typeof value === "string" ? value : null);

function parse(body: string): Answer["json"] {
  try {
    const json: unknown = JSON.parse(body);
    return json && typeof json === "object" ? (json as Answer["json"]) : null;
  } catch {
    return null;
  }
}
