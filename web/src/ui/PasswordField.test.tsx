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

test("S-PW-6: hides what is typed, and lets a password manager fill it in", () => {
  const input = field();

  expect(input.type).toBe("password");
  expect(input.autocomplete).toBe("current-password");
  expect([input.maxLength, input.readOnly, input.pattern]).toEqual([-1, false, ""]);
});

test("S-PW-6: takes what is pasted, dropped or typed by a program", () => {
  const input = field();

  for (const event of ["paste", "drop", "copy", "beforeinput", "contextmenu"]) {
    const happened = new Event(event, { bubbles: true, cancelable: true });
    input.dispatchEvent(happened);
    expect([event, happened.defaultPrevented]).toEqual([event, false]);
  }
});

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
