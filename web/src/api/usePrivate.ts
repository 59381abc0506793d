import { useSession } from "@batonpass/react";

/**
 * A query that waits until somebody is signed in: while the session is booting nothing is asked, and
 * the page shows what it shows while loading.
 */
export function usePrivate<Options extends object>(
  options: Options,
): Options & { enabled: boolean } {
  return { ...options, enabled: useSession().userId !== null };
}
