/** What a form says when the server refuses it. Pure. */
import { ApiError, SessionExpiredError, SessionUnavailableError } from "@batonpass/client";

export interface Refusal {
  /**
   * Where the sentence stands: above the form, or at the field that is to blame. `dialog`: it is told
   * over the page, which stays as it is.
   */
  readonly at: "form" | "email" | "password" | "current" | "dialog";
  readonly text: string;
  /** Pointless before this is over; null: try again whenever you like. */
  readonly waitMs: number | null;
  /** There is an account already: offer to log in to it. */
  readonly taken: boolean;
  /** The link from the mail opens nothing any more. */
  readonly gone: boolean;
}

const refuse = (at: Refusal["at"], text: string, rest: Partial<Refusal> = {}): Refusal => ({
  at,
  text,
  waitMs: null,
  taken: false,
  gone: false,
  ...rest,
});

const AWAY = "We can't reach the server just now. What you typed is still here; please try again.";
const DEFAULT_WAIT_MS = 30_000; // for a 429 without Retry-After

export function refusalOf(error: unknown): Refusal {
  if (error instanceof SessionUnavailableError) return refuse("form", AWAY);
  if (error instanceof SessionExpiredError) return refuse("dialog", error.message);
  if (!(error instanceof ApiError))
    return refuse("form", "Something went wrong here. Please try again.");
  switch (error.code) {
    case "invalid_credentials":
      return refuse("form", "That e-mail and password don't match an account.");
    case "wrong_password":
      return refuse("current", "That is not your current password.");
    case "weak_password":
      return refuse("password", error.detail);
    case "email_taken":
      return refuse("email", "There is an account with this e-mail already.", { taken: true });
    case "registration_closed":
      return refuse("form", "New accounts are closed here. Ask whoever runs this site.");
    case "link_expired":
      return refuse("form", "This link has expired, or was used already.", { gone: true });
    case "rate_limited":
      return refuse("form", "Too many attempts.", {
        waitMs: error.retryAfterMs ?? DEFAULT_WAIT_MS,
      });
    case "busy":
      return refuse("form", "The server is busy.", {
        waitMs: error.retryAfterMs ?? DEFAULT_WAIT_MS,
      });
    default:
      return error.status === 0 || error.status >= 500
        ? refuse("form", AWAY)
        : refuse("form", error.detail);
  }
}
