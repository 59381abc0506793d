/** The public names, re-exported; nothing else. */
export { ConfirmDialog, type ConfirmDialogProps } from "./ConfirmDialog.tsx";
export { RequireSession, type RequireSessionProps } from "./RequireSession.tsx";
export { type ExpiredProps, SessionExpired, type SessionExpiredProps } from "./SessionExpired.tsx";
export { SessionProvider, type SessionProviderProps } from "./SessionProvider.tsx";
export { type Asking, type Confirm, useConfirm } from "./useConfirm.ts";
export { type SessionView, useSession } from "./useSession.ts";
