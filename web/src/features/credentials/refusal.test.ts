import { ApiError, SessionUnavailableError } from "@batonpass/client";
import { expect, test } from "vitest";
import { refusalOf } from "./refusal.ts";

test.each([
  [401, "invalid_credentials", { at: "form", waitMs: null }],
  [403, "wrong_password", { at: "current" }],
  [422, "weak_password", { at: "password", text: "Too common." }],
  [409, "email_taken", { at: "email", taken: true }],
  [403, "registration_closed", { at: "form", taken: false }],
  [410, "link_expired", { at: "form", gone: true }],
  [429, "rate_limited", { at: "form", waitMs: 12_000 }],
  [429, "busy", { at: "form", waitMs: 12_000 }],
  [418, "teapot", { at: "form", text: "Too common." }],
])("%i %s stands where it belongs", (status, code, expected) => {
  expect(refusalOf(new ApiError(status, code, "Too common.", 12_000))).toMatchObject(expected);
});

test.each([
  new ApiError(0, "unreachable", "Failed to fetch"),
  new ApiError(503, "unavailable", "Down"),
  new SessionUnavailableError(8_000),
])("a server that is away says that nothing typed is lost: %#", (error) => {
  expect(refusalOf(error).text).toContain("What you typed is still here");
});

test("a 429 without Retry-After still waits a while", () => {
  expect(refusalOf(new ApiError(429, "rate_limited", "Wait.")).waitMs).toBeGreaterThan(0);
});
