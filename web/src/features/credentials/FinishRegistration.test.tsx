import { ApiError } from "@batonpass/client";
import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, expect, test } from "vitest";
import { FinishRegistration } from "./FinishRegistration.tsx";

afterEach(cleanup);

/** Renders the last step; answers with the tokens that were sent. */
function open(token: string | null, answer: () => Promise<void> = async () => {}): string[] {
  const sent: string[] = [];
  render(
    <FinishRegistration
      token={token}
      finish={(token) => {
        sent.push(token);
        return answer();
      }}
      logIn={<a href="/login">Log in</a>}
      askAgain={<a href="/register">Create account</a>}
    />,
  );
  return sent;
}

const press = (): boolean =>
  fireEvent.click(screen.getByRole("button", { name: "Create account" }));

const refuse = (status: number, code: string) => () =>
  Promise.reject(new ApiError(status, code, "The server's sentence."));

test("nothing is sent before the button is pressed", () => {
  expect(open("abc")).toEqual([]);
});

test("the press sends the token, and leads to the login", async () => {
  const sent = open("abc");

  press();

  expect((await screen.findByRole("status")).textContent).toContain("Your account is ready");
  expect(screen.getByRole("link", { name: "Log in" })).toBeTruthy();
  expect(screen.queryByRole("button")).toBeNull();
  expect(sent).toEqual(["abc"]);
});

test("a link that is over says so, and where to go", async () => {
  open("abc", refuse(410, "link_expired"));

  press();

  expect((await screen.findByRole("alert")).textContent).toContain("expired, or was used already");
  expect(screen.getByRole("link", { name: "Create account" })).toBeTruthy();
});

test("a link without its token sends nothing", () => {
  const sent = open(null);

  expect(screen.getByRole("alert").textContent).toContain("expired, or was used already");
  expect(screen.queryByRole("button")).toBeNull();
  expect(sent).toEqual([]);
});

test("while the server is away the button stays", async () => {
  const sent = open("abc", refuse(0, "unreachable"));

  press();

  expect((await screen.findByRole("alert")).textContent).toContain("can't reach the server");
  press();
  expect(sent).toEqual(["abc", "abc"]);
});
