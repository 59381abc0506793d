/**
 * Every error that this package throws, declared once. None of them carries a token.
 */

/** Why the server says that a session is over: `reason` of `refresh_revoked` and `session_revoked`. */
export type EndReason =
  | "logout"
  | "revoked"
  | "password"
  | "reused"
  | "forked"
  | "rights_changed"
  | "expired"
  | "excess"
  | "user_disabled";

/** Why nobody is signed in any more: the refresh route's codes, and `logged_out` for a logout here or in another tab. */
export type EndCode =
  | "refresh_missing"
  | "refresh_invalid"
  | "refresh_expired"
  | "refresh_revoked"
  | "refresh_reused"
  | "logged_out";

/** The session is over for good; only a login helps. Requests that waited for a token fail with it. */
export class SessionExpiredError extends Error {
  override readonly name = "SessionExpiredError";
  readonly code: EndCode;
  readonly reason: EndReason | null;
  /** Leads back to the page on which the session ended. */
  readonly loginUrl: string;

  constructor(code: EndCode, reason: EndReason | null, loginUrl: string) {
    super(`The session is over (${code}).`);
    this.code = code;
    this.reason = reason;
    this.loginUrl = loginUrl;
  }
}

/** No fresh token can be had just now (offline, server down, timeout). The user is still signed in. */
export class SessionUnavailableError extends Error {
  override readonly name = "SessionUnavailableError";
  /** When the session tries again by itself. */
  readonly retryInMs: number;

  constructor(retryInMs: number) {
    super("The server cannot be reached just now; the session is kept.");
    this.retryInMs = retryInMs;
  }
}

/** A form's request (login, register, confirm, password) was refused or did not get through. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  /** The HTTP status; 0 where no answer came. */
  readonly status: number;
  /** The server's stable code, such as `invalid_credentials`; `unreachable` where no answer came, `unexpected` where it was none of the server's. */
  readonly code: string;
  /** A sentence for humans. */
  readonly detail: string;
  /** From Retry-After, where the server sent one. */
  readonly retryAfterMs: number | null;

  constructor(status: number, code: string, detail: string, retryAfterMs: number | null = null) {
    super(detail);
    this.status = status;
    this.code = code;
    this.detail = detail;
    this.retryAfterMs = retryAfterMs;
  }
}
