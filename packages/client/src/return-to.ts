/**
 * Where to go after a login: a path on this site, whatever the address bar was made to say.
 *
 * Source: OWASP Unvalidated Redirects and Forwards; docs/security.md, A25.
 */

/** A host that no page has: an address that leaves it was none of ours. */
const HERE = "https://here.invalid";

/** The given path, query and fragment where they stay on this site, else `/`. */
export function safeReturnTo(value: string | null | undefined): string {
  // Browsers read a backslash as a slash and skip control characters: what contains one is no link of ours.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this line is about
  if (!value?.startsWith("/") || /[\\\x00-\x1f\x7f]/.test(value)) return "/";
  const url = URL.parse(value, HERE);
  if (url?.origin !== HERE) return "/";
  // Only now: `/..//host` becomes `//host`; and some router decodes it once more.
  return /^\/(?:\/|%2f|%5c)/i.test(url.pathname) ? "/" : url.pathname + url.search + url.hash;
}
