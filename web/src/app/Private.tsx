import { useSession } from "@batonpass/react";
import { QueryClientProvider } from "@tanstack/react-query";
import { Outlet, useRouter } from "@tanstack/react-router";
import { type ReactElement, useEffect, useRef } from "react";
import { LoggedOut } from "./LoggedOut.tsx";
import { usePrivateCache } from "./queries.ts";
import { Shell } from "./Shell.tsx";

/**
 * What only a signed-in user sees. While it is booting the pages stand there as skeletons; an
 * anonymous visitor goes to the login and comes back; after a logout nothing is left.
 */
export function Private(): ReactElement | null {
  const { status, userId, session } = useSession();
  const { navigate } = useRouter();
  const wasSignedIn = useRef(false);
  const cache = usePrivateCache(userId);
  const gone = status === "anonymous" || status === "logging-out";

  useEffect(() => {
    if (userId !== null) wasSignedIn.current = true;
    if (!gone) return;
    // After a logout the next user of this browser does not land where the last one was.
    const href = wasSignedIn.current ? "/login" : session.loginUrl();
    const go = (): void => void navigate({ href, replace: true });
    if (navigator.onLine) return go();
    // The router answers a script that it cannot fetch by loading the page anew, and there is none.
    addEventListener("online", go, { once: true });
    return () => removeEventListener("online", go);
  }, [gone, userId, session, navigate]);

  if (gone) return navigator.onLine ? null : <LoggedOut />;
  return (
    <QueryClientProvider client={cache.client}>
      <Shell key={cache.key}>
        <Outlet />
      </Shell>
    </QueryClientProvider>
  );
}
