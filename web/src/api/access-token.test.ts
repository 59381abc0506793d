import { expect, test } from "vitest";
import { lifeIn } from "./access-token.ts";

const holding = (content: object): string =>
  `head.${btoa(JSON.stringify(content)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}.mac`;

test.each([
  [holding({ iat: 1_000, exp: 1_600 }), 600_000],
  [holding({ iat: 1_000, exp: 1_600, sub: "???>>>~~~" }), 600_000], // holds - and _
  [holding({ iat: 1_000 }), null],
  ["an opaque one", null],
  ["", null],
])("an access token says how long it lives: %#", (token, life) => {
  expect(lifeIn(token)).toBe(life);
});
