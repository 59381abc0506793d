/** What a failed request means to the person in front of the page. Pure. */
import { SessionExpiredError, SessionUnavailableError } from "@batonpass/client";
import { isAxiosError } from "axios";

/** `gone`: 404. `expired` and `away` are told elsewhere on the page: nothing needs saying here. */
export type Failure = "expired" | "away" | "gone" | "refused";

export function failureOf(error: unknown): Failure {
  if (error instanceof SessionExpiredError) return "expired";
  if (error instanceof SessionUnavailableError) return "away";
  if (!isAxiosError(error) || !error.response) return "away";
  if (error.response.status === 404) return "gone";
  return error.response.status >= 500 ? "away" : "refused";
}

/** Whether a page should say that it could not load: an ended session has its dialog already. */
export const isWorthSaying = (error: unknown): boolean =>
  error !== null && failureOf(error) !== "expired";
