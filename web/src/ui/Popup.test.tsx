import { act, cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Popup } from "./Popup.tsx";

beforeEach(() => {
  render(
    <>
      <Popup button="Actions" buttonClass="" className="" panelClass="">
        {(close) => (
          <button type="button" onClick={close}>
            End session
          </button>
        )}
      </Popup>
      <button type="button">Beside it</button>
    </>,
  );
});
afterEach(cleanup);

const opener = (): HTMLElement => screen.getByRole("button", { name: "Actions" });
const item = (): HTMLElement | null => screen.queryByRole("button", { name: "End session" });

test("is closed until its button is pressed, and says which", () => {
  expect(item()).toBeNull();
  expect(opener().getAttribute("aria-expanded")).toBe("false");

  fireEvent.click(opener());

  expect(item()).not.toBeNull();
  expect(opener().getAttribute("aria-expanded")).toBe("true");
});

test.each([
  ["Escape", () => fireEvent.keyDown(item() as HTMLElement, { key: "Escape" })],
  ["what it offers", () => fireEvent.click(item() as HTMLElement)],
])("%s closes it, and the focus is back on its button", (_, close) => {
  fireEvent.click(opener());
  item()?.focus();

  close();

  expect(item()).toBeNull();
  expect(document.activeElement).toBe(opener());
});

test.each([
  ["its button, once more", () => fireEvent.click(opener())],
  ["a press beside it", () => fireEvent.pointerDown(screen.getByText("Beside it"))],
  ["the focus going elsewhere", () => act(() => screen.getByText("Beside it").focus())],
])("%s closes it", (_, close) => {
  fireEvent.click(opener());
  item()?.focus();

  close();

  expect(item()).toBeNull();
});

test("a press within it does not", () => {
  fireEvent.click(opener());

  fireEvent.pointerDown(item() as HTMLElement);

  expect(item()).not.toBeNull();
});
