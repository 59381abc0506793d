/** The public names, re-exported; nothing else. */
export {
  ApiError,
  type EndCode,
  type EndReason,
  SessionExpiredError,
  SessionUnavailableError,
} from "./errors.ts";
export { safeReturnTo } from "./return-to.ts";
export { createSession } from "./session.ts";
export type {
  Channel,
  Credentials,
  Host,
  PasswordChange,
  Refusal,
  Registration,
  RegistrationResult,
  Session,
  SessionEvents,
  SessionOptions,
  SessionSnapshot,
  SessionStatus,
} from "./types.ts";
