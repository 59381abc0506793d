import type { Session, SessionSnapshot, SessionStatus } from "@batonpass/client";
import { useContext, useSyncExternalStore } from "react";
import { SessionContext } from "./SessionProvider.tsx";

export interface SessionView {
  readonly status: SessionStatus;
  /** Who is signed in; null where nobody is, or nobody knows yet. */
  readonly userId: string | null;
  readonly snapshot: SessionSnapshot;
  readonly session: Session;
  readonly logout: Session["logout"];
}

const BOOTING: SessionSnapshot = { status: "booting", userId: null };
const onTheServer = (): SessionSnapshot => BOOTING;

/** The session as it stands; renders again whenever that changes. */
export function useSession(): SessionView {
  const session = useContext(SessionContext);
  if (!session) throw new Error("useSession needs a <SessionProvider> above it.");
  const snapshot = useSyncExternalStore(session.subscribe, session.getSnapshot, onTheServer);
  const { status, userId } = snapshot;
  return { status, userId, snapshot, session, logout: session.logout };
}
