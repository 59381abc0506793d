import { type ReactElement, type ReactNode, useEffect } from "react";
import { isHere } from "./login-page.ts";
import { useSession } from "./useSession.ts";

export interface RequireSessionProps {
  readonly children: ReactNode;
  /** Shown while nobody knows yet who is signed in. */
  readonly fallback?: ReactNode;
  /** Shown where nobody is, given the login link. Default: the browser goes there, unless it is there. */
  readonly anonymous?: (loginUrl: string) => ReactNode;
}

/** Shows its children to a signed-in user only; they stay while the server is away or the session has expired. */
export function RequireSession({
  children,
  fallback = null,
  anonymous = goTo,
}: RequireSessionProps): ReactNode {
  const { status, userId, session } = useSession();
  if (userId !== null) return children;
  return status === "anonymous" ? anonymous(session.loginUrl()) : fallback;
}

// A page that is served for every path guards the login page too: to go there again would never end.
const goTo = (url: string): ReactElement | null => (isHere(url) ? null : <Go to={url} />);

function Go({ to }: { readonly to: string }): null {
  useEffect(() => location.replace(to), [to]);
  return null;
}
