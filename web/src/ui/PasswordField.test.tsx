import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, expect, test } from "vitest";
import { PasswordField } from "./PasswordField.tsx";

afterEach(cleanup);

function field(error?: string): HTMLInputElement {
  render(<PasswordField label="Password" autoComplete="current-password" error={error} />);
  return screen.getByLabelText<HTMLInputElement>("Password");
}

/** happy-dom's events know no modifiers. */
const withCapsLock = (event: KeyboardEvent): KeyboardEvent =>
  Object.assign(event, { getModifierState: (name: string) => name === "CapsLock" });

test("can be shown, and hidden again", () => {
  const input = field();
  expect(input.type).toBe("password");

  fireEvent.click(screen.getByRole("button", { name: "Show" }));
  expect(input.type).toBe("text");

  fireEvent.click(screen.getByRole("button", { name: "Hide" }));
  expect(input.type).toBe("password");
});

test("says that caps lock is on, beside what is wrong, for as long as it matters", () => {
  const input = field("That is not your current password.");
  const said = (): string | null => screen.getByRole("status").textContent;
  expect(said()).toBe("");

  fireEvent(input, withCapsLock(new KeyboardEvent("keydown", { key: "A", bubbles: true })));
  expect(said()).toBe("Caps lock is on.");
  expect(screen.queryByText("That is not your current password.")).not.toBeNull();

  fireEvent.blur(input);
  expect(said()).toBe("");
});
