import type { Session } from "@batonpass/client";
import { type Context, createContext, type ReactElement, type ReactNode, useEffect } from "react";

export const SessionContext: Context<Session | null> = createContext<Session | null>(null);

export interface SessionProviderProps {
  /** From `createSession`, made once outside of React. */
  readonly session: Session;
  readonly children?: ReactNode;
}

/** Gives the session to the components below, and keeps it alive as long as it is mounted. */
export function SessionProvider({ session, children }: SessionProviderProps): ReactElement {
  useEffect(() => session.start(), [session]);
  return <SessionContext value={session}>{children}</SessionContext>;
}
