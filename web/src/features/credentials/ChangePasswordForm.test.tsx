import { ApiError, SessionExpiredError } from "@batonpass/client";
import { act, cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, expect, test } from "vitest";
import { ChangePasswordForm } from "./ChangePasswordForm.tsx";

afterEach(cleanup);

const current = (): HTMLInputElement => screen.getByLabelText("Current password");
const next = (): HTMLInputElement => screen.getByLabelText("New password");

async function send(answer: () => Promise<void>): Promise<void> {
  render(<ChangePasswordForm email="ada@example.org" onSubmit={answer} />);
  fireEvent.change(current(), { target: { value: "seven green bicycles" } });
  fireEvent.change(next(), { target: { value: "eleven purple kettles" } });
  await act(async () => {
    fireEvent.click(screen.getByRole("button", { name: "Change password" }));
  });
}

test("S-PW-6: a password manager knows whose password changes, and which is the new one", async () => {
  await send(async () => {});

  const form = current().form;
  const fields = [...(form?.querySelectorAll<HTMLInputElement>("input") ?? [])];
  expect(fields.map(({ type, autocomplete }) => [type, autocomplete])).toEqual([
    ["email", "username"],
    ["password", "current-password"],
    ["password", "new-password"],
  ]);
});

test("says that it is done, and empties itself", async () => {
  await send(async () => {});

  expect(screen.getByText(/Your password has been changed/)).toBeDefined();
  expect([current().value, next().value]).toEqual(["", ""]);
});

test("says at the field that the current password is wrong, and keeps what was typed", async () => {
  await send(() => Promise.reject(new ApiError(403, "wrong_password", "No.")));

  expect(screen.getByText("That is not your current password.")).toBeDefined();
  expect(document.activeElement).toBe(current());
  expect(next().value).toBe("eleven purple kettles");
});

test("stays as it is where the session is over: the page's dialog says so", async () => {
  await send(() => Promise.reject(new SessionExpiredError("refresh_expired", null, "/login")));

  expect(screen.queryByRole("alert")).toBeNull();
  expect(screen.queryByText(/has been changed/)).toBeNull();
  expect([current().value, next().value]).toEqual([
    "seven green bicycles",
    "eleven purple kettles",
  ]);
});
