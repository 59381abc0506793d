/** The public names, re-exported; nothing else. */
export { RequireSession, type RequireSessionProps } from "./RequireSession.tsx";
export { type ExpiredProps, SessionExpired, type SessionExpiredProps } from "./SessionExpired.tsx";
export { SessionProvider, type SessionProviderProps } from "./SessionProvider.tsx";
export { type SessionView, useSession } from "./useSession.ts";
