/**
 * The readable cookie beside the real one: `<8 characters that name the family>.<generation>`, set by each
 * token answer. It is worth nothing to a thief; to us it tells, under the lock, what other tabs have done.
 */
import type { Token } from "./machine.ts";
import type { Host } from "./types.ts";

export interface Hint {
  readonly raw: string;
  /** Null: a logout is under way. */
  readonly family: string | null;
  readonly generation: number;
}

const NAME = "session_state";
const PREFIXED = `__Host-${NAME}`;

/** Written by a logout, so that one that could not reach the server is not forgotten with the page. */
const LOGGED_OUT = "logged-out";

/** Longer than any session: Chromium allows 400 days. */
const FOREVER_SECONDS = 400 * 24 * 3_600;

/** What the cookie says; null where there is none, or nothing readable in it. */
export function readHint(host: Host): Hint | null {
  const raw = names(host)
    .map((name) => cookieValue(name, host.readCookies()))
    .find((value) => value !== null);
  if (raw === LOGGED_OUT) return { raw, family: null, generation: 0 };
  const [, family, generation] = /^([\w-]+)\.(\d+)$/.exec(raw ?? "") ?? [];
  return raw && family ? { raw, family, generation: Number(generation) } : null;
}

/** Leave word that a logout is under way; the server's answer to it clears the cookie, a login replaces it. */
export function writeLoggedOut(host: Host): void {
  for (const name of names(host)) {
    if (cookieValue(name, host.readCookies()) === null) continue;
    const secure = name === PREFIXED ? "; Secure" : "";
    host.writeCookie(
      `${name}=${LOGGED_OUT}; Path=/; SameSite=Strict; Max-Age=${FOREVER_SECONDS}${secure}`,
    );
  }
}

/** Over https only the prefixed one is surely the server's; over http that one may be left from https. */
function names(host: Host): readonly string[] {
  return host.location()?.href.startsWith("https:") ? [PREFIXED, NAME] : [NAME, PREFIXED];
}

function cookieValue(name: string, cookies: string): string | null {
  const pair = cookies.split("; ").find((cookie) => cookie.startsWith(`${name}=`));
  return pair?.slice(name.length + 1) ?? null;
}

/** What the cookie tells a page that holds this token. */
export function compareHint(
  hint: Hint | null,
  token: Pick<Token, "hint" | "generation">,
): "as-known" | "logged-out" | "gone" | "another" | "went-back" {
  if (hint?.family === null) return "logged-out";
  if (token.hint === null) return "as-known"; // nothing to hold it against
  if (hint === null) return "gone";
  if (hint.family !== familyOf(token)) return "another";
  // A later one is another tab's refresh, whose token is on its way.
  return hint.generation < token.generation ? "went-back" : "as-known";
}

export const familyOf = ({ hint }: Pick<Token, "hint">): string | null =>
  hint?.split(".")[0] ?? null;
