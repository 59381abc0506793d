import { describe, expect, test } from "vitest";
import {
  beginFamily,
  type Family,
  GRACE_MS,
  judge,
  noteSeen,
  recover,
  rotate,
  tokenOf,
} from "./support/family.ts";

const TICK = 1;

/** At generation 7, rotated at 0, as in the table of the server's own tests. */
const FAMILY: Family = {
  ...beginFamily("f", "anna", 0),
  token: tokenOf("f", 7),
  openedBy: tokenOf("f", 6),
  generation: 7,
  recoverableFrom: 5,
  windowGeneration: 5,
  windowStartedAt: 0,
};

describe("the model server keeps the family's rules", () => {
  test.each([
    [7, 0, "rotate"],
    [6, GRACE_MS, "repeat"],
    [6, GRACE_MS + TICK, "recover"],
    [5, GRACE_MS, "superseded"],
    [5, GRACE_MS + TICK, "recover"],
    [4, GRACE_MS + TICK, "reused"],
  ] as const)("generation %i at %i ms: %s", (presented, at, verdict) => {
    expect(judge(FAMILY, tokenOf("f", presented), at)).toBe(verdict);
  });

  test("an ended family yields nothing", () => {
    expect(judge({ ...FAMILY, ended: "logout" }, FAMILY.token, 0)).toBe("revoked");
  });

  test("what has settled makes every spent token an alarm", () => {
    const family = { ...FAMILY };
    noteSeen(family, 7, 0, 2 * GRACE_MS + TICK);

    expect(judge(family, tokenOf("f", 6), 2 * GRACE_MS + TICK)).toBe("reused");
  });

  test("a rotation long after the last one settles what it presents", () => {
    const family = { ...FAMILY };
    rotate(family, 2 * GRACE_MS + TICK);

    expect(family).toMatchObject({ generation: 8, recoverableFrom: 7, windowGeneration: 7 });
  });

  test("a recovery withdraws what came after", () => {
    const family = { ...FAMILY };
    recover(family, tokenOf("f", 5), GRACE_MS + TICK);

    expect(judge(family, tokenOf("f", 7), 2 * GRACE_MS + 2 * TICK)).toBe("reused");
    expect(judge(family, tokenOf("f", 5), 2 * GRACE_MS + 2 * TICK)).toBe("recover");
  });
});
