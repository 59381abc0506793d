import type { EndCode, EndReason } from "@batonpass/client";
import { expect, test } from "vitest";
import { whyExpired } from "./why-expired.ts";

const THEFT = "An old copy of this session was used. If that was not you, change your password.";

test.each<[EndCode, EndReason | null, string]>([
  ["refresh_reused", null, THEFT],
  ["refresh_revoked", "reused", THEFT],
  ["refresh_revoked", "revoked", "It was ended from another device of yours."],
  ["refresh_revoked", null, "It was ended."],
  ["refresh_expired", null, "You were away for longer than a session lasts."],
  ["logged_out", null, "You logged out in another tab."],
])("%s, %s: %s", (code, reason, said) => {
  expect(whyExpired(code, reason)).toBe(said);
});

test("a reason that a newer server has falls back on its code", () => {
  expect(whyExpired("refresh_revoked", "moon" as EndReason)).toBe("It was ended.");
});
