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

/** A token on its way to another tab, whose clock began at another time. */
export type SentToken = Omit<Token, "receivedAt" | "expiresAt"> & {
  readonly lifeMs: number;
};

/**
 * The token in the server's answer; null where it is none, such as a hotel's login page with status 200.
 * Its life counts from `askedAt`: too early is safe.
 */
export function readToken(json: unknown, askedAt: number, family: string | null): Token | null {
  const grant = json as Partial<Grant> | null;
  const { access_token: accessToken, expires_in, session_id: sessionId, generation } = grant ?? {};
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
    const claims = JSON.parse(atob(payload.replaceAll("-", "+").replaceAll("_", "/")));
    return typeof claims.sub === "string" ? claims.sub : null;
  } catch {
    return null; // not a JWT
  }
}

export function pack({ receivedAt: _, expiresAt, ...token }: Token, now: number): SentToken {
  return { ...token, lifeMs: expiresAt - now };
}

export function unpack({ lifeMs, ...token }: SentToken, now: number): Token {
  return { ...token, receivedAt: now, expiresAt: now + lifeMs };
}
