import { expect, it } from "vitest";
import { safeReturnTo } from "../src/return-to.ts";

/** What stood in the address bar, and where it leads. */
const PATHS = [
  ["/", "/"],
  ["/sessions", "/sessions"],
  ["/inbox?page=2#top", "/inbox?page=2#top"],
  ["/search?q=%2F%2Fh", "/search?q=%2F%2Fh"],
  ["/a/../sessions", "/sessions"],
  [null, "/"],
  [undefined, "/"],
  ["", "/"],
  ["sessions", "/"],
  ["//h", "/"],
  ["///h", "/"],
  ["/\\h", "/"],
  ["/\\\\h", "/"],
  ["\\\\h", "/"],
  ["/a\\..\\..\\\\h", "/"],
  ["https:h", "/"],
  ["https://h", "/"],
  ["https://here.invalid/x", "/"],
  ["javascript:alert(1)", "/"],
  ["%2F%2Fh", "/"],
  ["/%2Fh", "/"],
  ["/%2f%2fh", "/"],
  ["/%5Ch", "/"],
  ["/\t/h", "/"],
  ["/\n/h", "/"],
  ["\t//h", "/"],
  [" //h", "/"],
  ["/..//h", "/"],
  ["/.//h", "/"],
  ["/a/..//h", "/"],
  ["/%2e%2e//h", "/"],
  ["/\u0000/h", "/"],
] as const;

it("A25: a return path stays on this site, whatever was made of it", () => {
  const led = PATHS.map(([value]) => [value, safeReturnTo(value)]);

  expect(led).toEqual(PATHS);
});
