/**
 * One refresh: what the server's answer means. Three outcomes, never two.
 */
import type { Ending, Token } from "./machine.ts";
import { post } from "./requests.ts";
import { readToken } from "./tokens.ts";
import type { Host } from "./types.ts";

export type Refreshed =
  | { readonly type: "renewed"; readonly token: Token }
  | { readonly type: "denied"; readonly ending: Ending }
  | { readonly type: "unreachable"; readonly retryAfterMs: number | null };

/** Only these end a session; any other refusal may be a proxy's, a hotel's, or a mistake. */
const ENDS = /^refresh_(missing|invalid|expired|revoked|reused)$/;

/** Before the second try: what another tab was answered must be in the jar by then. */
const LEAST_MS = 50;
const SPREAD_MS = 200;

/** Offline, aborted, timed out, redirected. */
const NO_ANSWER = { status: 0, json: null, retryAfterMs: null };

export interface RefreshRequest {
  readonly url: string;
  /** By the host's clock; for both tries together. */
  readonly deadline: number;
  readonly signal: AbortSignal;
  /** The family that the readable cookie names, once the answer is there. */
  readonly family: () => string | null;
}

/** Ask for a new token; where the answer was lost, or another tab was quicker, once more. */
export async function refresh(
  host: Host,
  request: RefreshRequest,
  isLast = false,
): Promise<Refreshed> {
  const { url, deadline, signal, family } = request;
  const askedAt = host.now();
  const { status, json, retryAfterMs } = await post(host, url, deadline - askedAt, {
    signal,
  }).catch(() => NO_ANSWER);
  const code = String(json?.code);
  const isSuperseded = status === 409 && code === "refresh_superseded";
  const hasTime = !signal.aborted && host.now() + LEAST_MS + SPREAD_MS < deadline;
  if ((!status || isSuperseded) && hasTime && !isLast) {
    await new Promise<void>((go) => host.after(LEAST_MS + host.random() * SPREAD_MS, go));
    return refresh(host, request, true);
  }
  const token = status === 200 && readToken(json, askedAt, family());
  if (token) return { type: "renewed", token };
  if (status === 401 && ENDS.test(code)) {
    return { type: "denied", ending: { code, reason: (json?.reason ?? null) as string | null } };
  }
  if (status >= 400 && status < 500 && status !== 429) {
    // biome-ignore lint/suspicious/noConsole: a mistake of the set-up (CSRF, CORS, path) that nothing else would show
    console.error(`batonpass: the refresh was refused with ${status} ${code}`);
  }
  return { type: "unreachable", retryAfterMs };
}
