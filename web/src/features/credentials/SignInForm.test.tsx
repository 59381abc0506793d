import { ApiError } from "@batonpass/client";
import { act, cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { SignInFields } from "./fields.ts";
import { SignInForm } from "./SignInForm.tsx";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

const settle = (ms = 0): Promise<void> => act(() => vi.advanceTimersByTimeAsync(ms).then(() => {}));

/** Renders the form, types, and sends it; answers with what was sent. */
async function send(
  kind: "login" | "register",
  typed: { email: string; password: string },
  answer: () => Promise<void>,
): Promise<SignInFields[]> {
  const sent: SignInFields[] = [];
  render(
    <SignInForm
      kind={kind}
      email=""
      onEmail={() => {}}
      onSubmit={(fields) => {
        sent.push(fields);
        return answer();
      }}
      loginInstead={<a href="/login">Log in instead</a>}
    />,
  );
  fireEvent.change(screen.getByLabelText("Email"), { target: { value: typed.email } });
  fireEvent.change(screen.getByLabelText("Password"), { target: { value: typed.password } });
  fireEvent.click(
    screen.getByRole("button", { name: kind === "login" ? "Log in" : "Create account" }),
  );
  await settle();
  return sent;
}

const refuse =
  (status: number, code: string, retryAfterMs: number | null = null) =>
  () =>
    Promise.reject(new ApiError(status, code, "Too common.", retryAfterMs));

test.each([
  ["login", "current-password"],
  ["register", "new-password"],
] as const)(
  "S-PW-6: %s tells a password manager what it asks for",
  async (kind, kindOfPassword) => {
    await send(kind, { email: "", password: "" }, async () => {});

    const named = (label: string): string =>
      screen.getByLabelText<HTMLInputElement>(label).autocomplete;
    expect([named("Email"), named("Password")]).toEqual(["username", kindOfPassword]);
  },
);

test("sends what was typed, and to stay signed in unless told otherwise", async () => {
  const sent = await send(
    "login",
    { email: " ada@example.org ", password: " p w " },
    async () => {},
  );

  expect(sent).toEqual([{ email: "ada@example.org", password: " p w ", remember: true }]);
});

test("a wrong password is said above the form; what was typed stays, the focus is in the password", async () => {
  await send(
    "login",
    { email: "ada@example.org", password: "wrong" },
    refuse(401, "invalid_credentials"),
  );

  expect(screen.getByRole("alert").textContent).toContain("don't match an account");
  expect(screen.getByLabelText<HTMLInputElement>("Email").value).toBe("ada@example.org");
  expect(document.activeElement).toBe(screen.getByLabelText("Password"));
});

test("a throttled login counts down, then may be tried again", async () => {
  await send(
    "login",
    { email: "ada@example.org", password: "pw" },
    refuse(429, "rate_limited", 3_000),
  );
  const button = screen.getByRole<HTMLButtonElement>("button", { name: "Log in" });

  expect(screen.getByRole("alert").textContent).toContain("Try again in 3 s.");
  expect(button.disabled).toBe(true);
  await settle(1_100);
  expect(screen.getByRole("alert").textContent).toContain("Try again in 2 s.");
  await settle(2_000);
  expect(screen.queryByRole("alert")).toBeNull();
  expect(button.disabled).toBe(false);
});

test("a taken e-mail offers the login at the field", async () => {
  await send(
    "register",
    { email: "ada@example.org", password: "long enough" },
    refuse(409, "email_taken"),
  );

  const email = screen.getByLabelText("Email");
  expect(email.getAttribute("aria-invalid")).toBe("true");
  expect(screen.getByRole("link", { name: "Log in instead" })).toBeTruthy();
  expect(document.activeElement).toBe(email);
});

test("the server's reason against a weak password stands at the password", async () => {
  await send(
    "register",
    { email: "ada@example.org", password: "long enough" },
    refuse(422, "weak_password"),
  );

  const note = screen.getByLabelText("Password").getAttribute("aria-describedby") ?? "";
  expect(document.getElementById(note)?.textContent).toBe("Too common.");
});

test("S-PW-1: fifteen characters are advised", async () => {
  await send("register", { email: "ada@example.org", password: "eight888" }, async () => {});

  expect(screen.getByText(/8 characters or more; with 15 it is hard to guess/)).toBeDefined();
});

test("S-PW-1: fewer than eight characters are not sent", async () => {
  const typed = { email: "ada@example.org", password: "seven77" };

  expect(await send("register", typed, async () => {})).toEqual([]);
  expect(screen.getByText("At least 8 characters, please.")).toBeDefined();
});
