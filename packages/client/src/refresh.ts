/**
 * One refresh: what the server's answer means. Three outcomes, never two.
 */

import type { EndCode, EndReason } from "./errors.ts";
import type { Ending, Token } from "./machine.ts";
import { type Answer, post } from "./requests.ts";
import { readToken } from "./tokens.ts";
import type { Host } from "./types.ts";

export type Refreshed =
  | { readonly type: "renewed"; readonly token: Token }
  | { readonly type: "denied"; readonly ending: Ending<EndCode, EndReason> }
  | { readonly type: "unreachable"; readonly retryAfterMs: number | null };

/** Only these end a session; any other refusal may be a proxy's, a hotel's, or a mistake. */
const ENDS = /^refresh_(missing|invalid|expired|revoked|reused)$/;

/** Before a superseded tab tries again: the other's cookie must have arrived by then. */
const JITTER_MS = { least: 50, most: 250 } as const;

export interface RefreshRequest {
  readonly url: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** The family that the readable cookie names, once the answer is there. */
  readonly family: () => string | null;
}

/** Ask for a new token; a superseded cookie is tried once more. Never longer than `timeoutMs` in all. */
export async function refresh(host: Host, request: RefreshRequest): Promise<Refreshed> {
  const deadline = host.now() + request.timeoutMs;
  const first = await ask(host, request, deadline);
  if (first !== "superseded") return first;
  const { least, most } = JITTER_MS;
  await new Promise<void>((go) => host.after(least + host.random() * (most - least), go));
  const second = await ask(host, request, deadline);
  return second === "superseded" ? { type: "unreachable", retryAfterMs: null } : second;
}

async function ask(
  host: Host,
  { url, signal, family }: RefreshRequest,
  deadline: number,
): Promise<Refreshed | "superseded"> {
  const askedAt = host.now();
  try {
    const answer = await post(host, url, deadline - askedAt, { signal });
    const token = answer.status === 200 && readToken(answer.json, askedAt, family());
    return token ? { type: "renewed", token } : classify(answer);
  } catch {
    return { type: "unreachable", retryAfterMs: null }; // offline, aborted, timed out, redirected
  }
}

function classify({ status, json, retryAfterMs }: Answer): Refreshed | "superseded" {
  const code = String(json?.code);
  if (status === 401 && ENDS.test(code)) {
    const reason = (json?.reason ?? null) as EndReason | null;
    return { type: "denied", ending: { code: code as EndCode, reason } };
  }
  if (status === 409 && code === "refresh_superseded") return "superseded";
  if (status >= 400 && status < 500 && status !== 429) {
    // biome-ignore lint/suspicious/noConsole: a mistake of the set-up (CSRF, CORS, path) that nothing else would show
    console.error(`batonpass: the refresh was refused with ${status} ${code}`);
  }
  return { type: "unreachable", retryAfterMs };
}
