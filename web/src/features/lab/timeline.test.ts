import { expect, test } from "vitest";
import { type Answered, aboutClient, add, empty, type Fact } from "./timeline.ts";

const who = "this tab";
const step: Fact = { type: "step", said: "20 requests at once." };
const request = (status: number, code: string | null = null): Fact => ({
  type: "request",
  who,
  answer: { status, code, generation: null },
});
const refresh = (answer: Partial<Answered>, more: object = {}): Fact => ({
  type: "refresh",
  who,
  presented: null,
  answer: { status: 200, code: null, generation: null, ...answer },
  ...more,
});
const renewed = (generation: number, more?: object): Fact => refresh({ generation }, more);

const told = (newest: number | null, ...facts: readonly Fact[]) =>
  facts
    .reduce(add, empty(newest))
    .rows.map((row) =>
      row.type === "step" ? row.said : [row.decision?.verdict ?? row.said, row.count, row.tone],
    );

test("what happens twenty times is told once, with how often", () => {
  const many = (fact: Fact): readonly Fact[] => Array.from({ length: 20 }, () => fact);
  const [late, ...refused] = many(request(401, "token_invalid"));

  expect(told(3, step, ...refused, renewed(4), late ?? step, ...many(request(200)))).toEqual([
    "20 requests at once.",
    ["token_invalid", 20, "warn"],
    ["rotate", 1, "ok"],
    ["200", 20, "plain"],
  ]);
});

test("what another step did is another row", () => {
  expect(told(0, step, request(200), step, request(200))).toHaveLength(4);
});

test("a lost answer that comes again is a repeat, the next one is none", () => {
  const verdicts = told(4, renewed(5, { lost: true }), renewed(5), renewed(6));

  expect(verdicts.map(([verdict]) => verdict)).toEqual(["rotate", "repeat", "rotate"]);
});

test("an answer that skips a token is a recovery, however late it comes", () => {
  const verdicts = told(
    4,
    renewed(5, { presented: 4, lost: true }),
    renewed(6, { presented: 4 }),
    renewed(7, { presented: 6 }),
  );

  expect(verdicts.map(([verdict]) => verdict)).toEqual(["rotate", "recover", "rotate"]);
});

test("only an answer that got lost ends on its way", () => {
  const { rows } = [renewed(5, { lost: true }), renewed(5)].reduce(add, empty(4));

  expect(rows.map((row) => row.type === "exchange" && row.lost)).toEqual([true, false]);
});

test("the first token that anybody hears of is a rotation", () => {
  expect(told(null, renewed(7))).toEqual([["rotate", 1, "ok"]]);
});

test.each([
  [refresh({ status: 401, code: "refresh_reused" }), "reused", "danger"],
  [refresh({ status: 401, code: "refresh_revoked" }), "revoked", "danger"],
  [refresh({ status: 409, code: "refresh_superseded" }), "superseded", "warn"],
  [refresh({ status: 503, code: "unavailable" }), "unavailable", "warn"],
  [request(401, "session_revoked"), "session_revoked", "danger"],
  [request(500), "500", "warn"],
])("a refusal is told by its verdict: %#", (fact, verdict, tone) => {
  expect(told(2, fact)).toEqual([[verdict, 1, tone]]);
});

test("the thief's refresh is not counted with the owner's", () => {
  const answer = { status: 401, code: "refresh_revoked" };

  expect(told(2, refresh(answer), refresh(answer, { who: "the thief" }))).toHaveLength(2);
});

test("of the client's states only what says something new is told", () => {
  const userId = "ada";

  expect(aboutClient({ status: "authenticated", userId, sessionId: "s" })).toBeNull();
  expect(aboutClient({ status: "unreachable", userId, retryInMs: 0 })).toBeNull();
  expect(aboutClient({ status: "unreachable", userId, retryInMs: 900 })?.tone).toBe("warn");
  expect(
    aboutClient({ status: "expired", userId, code: "refresh_reused", reason: null })?.tone,
  ).toBe("danger");
});
