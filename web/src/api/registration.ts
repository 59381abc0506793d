/** The end of a registration that a mail decides. With `fetch`: the page needs no axios. */
import { ApiError } from "@batonpass/client";

const TIMEOUT_MS = 15_000;

/** Makes the account of a link's token; an `ApiError` where there is none to make. */
export async function finishRegistration(token: string): Promise<void> {
  const response = await fetch("/auth/register/finish", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ token }),
    cache: "no-store",
    redirect: "error",
    signal: AbortSignal.timeout(TIMEOUT_MS),
  }).catch(() => {
    throw new ApiError(0, "unreachable", "The server cannot be reached. Please try again.");
  });
  if (response.status === 201) return;
  const { code, detail } = await response.json().catch(() => ({}));
  const seconds = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  throw new ApiError(
    response.status,
    typeof code === "string" ? code : "unexpected",
    typeof detail === "string" ? detail : "The server gave an unexpected answer.",
    Number.isNaN(seconds) ? null : seconds * 1_000,
  );
}
