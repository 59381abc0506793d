import { expect, test } from "vitest";
import { tokenIn } from "./link-token.ts";

test.each([
  ["#token=aZ_-09", "aZ_-09"],
  ["#token=", null],
  ["#token=a b", null],
  ["#token=a&x=1", null],
  ["#other=a", null],
  ["", null],
])("%s holds %s", (hash, token) => {
  expect(tokenIn(hash)).toBe(token);
});
