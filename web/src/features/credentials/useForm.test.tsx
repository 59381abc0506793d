import { act, cleanup, fireEvent, render, screen } from "@testing-library/react";
import type { ReactElement } from "react";
import { afterEach, expect, test } from "vitest";
import { type FormOptions, useForm } from "./useForm.ts";

interface Fields {
  readonly first: string;
  readonly second: string;
}

const check: FormOptions<Fields>["check"] = (typed) => {
  const first = String(typed.get("first"));
  const second = String(typed.get("second"));
  return {
    fields: { first, second },
    errors: { second: second === "" ? "Say something." : undefined },
  };
};

function Two({ send }: { readonly send: FormOptions<Fields>["send"] }): ReactElement {
  const { form, errors, isSubmitting } = useForm<Fields>({ check, send });
  return (
    <form {...form}>
      <input name="first" aria-label="First" defaultValue="one" />
      <input name="second" aria-label="Second" />
      <output>{isSubmitting ? "Sending" : errors.second}</output>
      <button type="submit">Send</button>
    </form>
  );
}

afterEach(cleanup);

const field = (name: string): HTMLInputElement => screen.getByLabelText(name);
const said = (): string | null => screen.getByRole("status").textContent;
const type = (value: string): void => void fireEvent.change(field("Second"), { target: { value } });
const press = (): Promise<void> =>
  act(async () => void fireEvent.click(screen.getByRole("button", { name: "Send" })));

test("is checked when it is sent, and from then on as one types", async () => {
  const sent: Fields[] = [];
  render(<Two send={async (fields) => sent.push(fields) > 0} />);
  type("x");
  type("");
  expect(said()).toBe("");

  await press();
  expect([said(), document.activeElement, sent]).toEqual(["Say something.", field("Second"), []]);

  type("two");
  expect(said()).toBe("");
  await press();
  expect(sent).toEqual([{ first: "one", second: "two" }]);
});

test("is empty once it is done, and says nothing of that", async () => {
  render(<Two send={async () => true} />);
  type("two");
  await press();

  expect(field("Second").value).toBe("");
  type("");
  expect(said()).toBe("");
});

test("goes back to the field that was refused, and selects what is in it", async () => {
  render(<Two send={async () => "first"} />);
  type("two");
  await press();

  const { selectionStart, selectionEnd } = field("First");
  expect([document.activeElement, selectionStart, selectionEnd]).toEqual([field("First"), 0, 3]);
  expect(field("Second").value).toBe("two");
});

test("is busy until there is an answer, a failure too", async () => {
  let fail = (): void => {};
  const answer = new Promise<boolean>((_, reject) => {
    fail = () => reject(new Error("no answer"));
  });
  render(<Two send={() => answer.catch(() => false)} />);
  type("two");
  await press();
  expect(said()).toBe("Sending");

  await act(async () => fail());
  expect(said()).toBe("");
});
