/**
 * The server's token answer, and a token's way from tab to tab. A token is never written anywhere.
 */
import type { Token } from "./machine.ts";

/** The token answer, as contract.md has it. */
interface Grant {
  readonly access_token: string;
  readonly expires_in: number;
  readonly session_id: string;
  readonly generation: number;
}

/**
 * The token in the server's answer; null where it is none, such as a hotel's login page with status 200.
 * Its life counts from `askedAt`: too early is safe.
 */
export function readToken(json: unknown, askedAt: number, family: string | null): Token | null {
  const grant = (json ?? {}) as Partial<Grant>;
  const { access_token: accessToken, expires_in, session_id: sessionId, generation } = grant;
  if (!accessToken || !expires_in || !sessionId || generation === undefined) return null;
  return {
    accessToken,
    userId: userIdOf(accessToken) ?? sessionId,
    sessionId,
    generation,
    receivedAt: askedAt,
    expiresAt: askedAt + expires_in * 1_000,
    hint: family && `${family}.${generation}`,
  };
}

/** The subject, as the token itself states it: good enough for a face, checked by nobody. */
export function userIdOf(accessToken: string): string | null {
  try {
    const payload = accessToken.split(".")[1] ?? "";
    const { sub } = JSON.parse(atob(payload.replaceAll("-", "+").replaceAll("_", "/")));
    return typeof sub === "string" ? sub : null;
  } catch {
    return null; // not a JWT
  }
}

/** A token from a page whose clock is `ms` behind this one's: each began when its page was loaded. */
export const moved = (token: Token, ms: number): Token => ({
  ...token,
  receivedAt: token.receivedAt + ms,
  expiresAt: token.expiresAt + ms,
});
