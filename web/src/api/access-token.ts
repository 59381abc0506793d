/** What this page's own access token says of all of them. */
import { queryOptions } from "@tanstack/react-query";
import { session } from "./session.ts";

/** How long an access token of this server lives, in ms; null where it does not say. */
export const accessTokenLife = queryOptions({
  queryKey: ["access-token-life"],
  queryFn: async () => lifeIn((await session.token()) ?? ""),
  staleTime: Number.POSITIVE_INFINITY, // a setting of the server
});

/** From `iat` to `exp` (RFC 7519 §4.1). */
export function lifeIn(token: string): number | null {
  const content = token.split(".")[1] ?? "";
  try {
    const { exp, iat } = JSON.parse(atob(content.replaceAll("-", "+").replaceAll("_", "/")));
    return exp > iat ? (exp - iat) * 1000 : null;
  } catch {
    return null; // no JWT
  }
}
