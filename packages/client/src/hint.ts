/**
 * The readable cookie beside the real one: `<8 characters that name the family>.<generation>`, set by each
 * token answer. It is worth nothing to a thief; to us it tells, under the lock, what other tabs have done.
 */
import type { SessionEvent, Token } from "./machine.ts";
import type { Host } from "./types.ts";

export interface Hint {
  readonly raw: string;
  /** Null: a logout is under way. */
  readonly family: string | null;
  readonly generation: number;
}

/** Written by a logout, so that one that could not reach the server is not forgotten with the page. */
const LOGGED_OUT = "logged-out";

/** 400 days, as long as Chromium allows: longer than any session. */
const FOREVER_SECONDS = 34_560_000;

/** What the cookie says; null where there is none, or nothing readable in it. */
export function readHint(host: Host, owner: string): Hint | null {
  const [, raw = ""] = find(host, owner);
  if (raw === LOGGED_OUT) return { raw, family: null, generation: 0 };
  const [, family, generation] = /^([\w-]+)\.(\d+)$/.exec(raw) ?? [];
  return family ? { raw, family, generation: Number(generation) } : null;
}

/** Leave word that a logout is under way; the server's answer to it clears the cookie, a login replaces it. */
export function writeLoggedOut(host: Host, owner: string): void {
  const [name] = find(host, owner);
  if (!name) return;
  // `__Host-` wants it; no other name of ours begins so.
  const secure = name[0] === "_" ? "; Secure" : "";
  host.writeCookie(
    `${name}=${LOGGED_OUT}; Path=/; SameSite=Strict; Max-Age=${FOREVER_SECONDS}${secure}`,
  );
}

/** Name and value of the one that counts. Over https only the prefixed one is surely the server's; over http that one may be left from https. */
function find(host: Host, owner: string): readonly string[] {
  const pairs = host
    .readCookies()
    .split("; ")
    .map((cookie) => cookie.split("="));
  const isHttps = host.location()?.href.startsWith("https:");
  return (isHttps ? ["__Host-", ""] : ["", "__Host-"]).flatMap(
    (prefix) => pairs.find(([key]) => key === `${prefix}${owner}session_state`) ?? [],
  );
}

/** An older cookie of the same session: a late answer put it back. */
export const wentBack = (hint: Hint, token: Token): boolean =>
  hint.family === familyOf(token) && hint.generation < token.generation;

/** What the cookie tells a page that holds this token; null: nothing new. `restored`: from the back/forward cache. */
export function newsFrom(hint: Hint | null, token: Token, restored: boolean): SessionEvent | null {
  if (hint?.family === null) return { type: "logged-out-in-tab" };
  if (token.hint === null) return null; // nothing to hold it against
  // Only a page from the cache may show what is no longer its user's. Elsewhere the cookie's time is
  // over, and the next refresh says so.
  if (!hint) return restored ? { type: "logged-out-in-tab" } : null;
  if (hint.family !== familyOf(token)) {
    return restored ? { type: "strange-cookie" } : { type: "refresh-needed", usable: false };
  }
  // A later one is another tab's refresh, whose token is on its way.
  return wentBack(hint, token) ? { type: "refresh-needed", usable: true } : null;
}

export const familyOf = ({ hint }: Token): string | null => hint?.split(".")[0] ?? null;
