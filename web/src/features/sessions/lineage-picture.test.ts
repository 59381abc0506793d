import { expect, test } from "vitest";
import type { LineageStep } from "../../api/routes.ts";
import { inWords, layOut } from "./lineage-picture.ts";

const START = Date.UTC(2026, 10, 23, 12);

const minute = (n: number): Date => new Date(START + n * 60_000);

function step(kind: string, generation: number, after: number, device?: string): LineageStep {
  return { kind, generation, at: minute(after).toISOString(), ip: null, device: device ?? null };
}

const login = step("created", 0, 0);

test("a single login stands at the beginning, with nothing to say", () => {
  const { marks, labels, replay, renewals, forgottenTo } = layOut([login], minute(10));

  expect(marks).toEqual([{ kind: "created", at: 0, to: 0, steps: [login] }]);
  expect([labels, replay, renewals, forgottenTo]).toEqual([[], null, 0, 0]);
});

test("steps stand in the order of their times, in proportion, however they came", () => {
  const picture = layOut([step("rotated", 2, 75), login, step("rotated", 1, 25)], minute(100));

  expect(picture.marks.map(({ at }) => at)).toEqual([0, 25, 75]);
  expect(picture.renewals).toBe(2);
});

test("many renewals run together, and none is lost", () => {
  const hundreds = Array.from({ length: 500 }, (_, n) => step("rotated", n + 1, n));
  const later = step("rotated", 501, 900);

  const { marks, renewals } = layOut([login, ...hundreds, later], minute(1_000));

  expect(marks.map(({ at, to, steps }) => [at, to, steps.length])).toEqual([
    [0, 0, 1],
    [0, 49.9, 500],
    [90, 90, 1],
  ]);
  expect(renewals).toBe(501);
});

test("what matters keeps a mark of its own among renewals that run together", () => {
  const steps = [10, 10.5, 11.5, 12].map((at, n) => step("rotated", n + 1, at));

  const { marks } = layOut([login, ...steps, step("elsewhere", 2, 11)], minute(100));

  expect(marks.map(({ kind, at, to }) => [kind, at, to])).toEqual([
    ["created", 0, 0],
    ["rotated", 10, 12],
    ["elsewhere", 11, 11],
  ]);
});

test("equal times share a place, at the beginning too", () => {
  const steps = [login, step("rotated", 1, 0), step("rotated", 2, 0)];

  const { marks } = layOut(steps, minute(0));

  expect(marks.map(({ kind, at, to, steps }) => [kind, at, to, steps.length])).toEqual([
    ["created", 0, 0, 1],
    ["rotated", 0, 0, 2],
  ]);
});

test("a server whose clock is ahead stays inside the picture", () => {
  const { marks } = layOut([login, step("rotated", 1, 30)], minute(15));

  expect(marks.at(-1)?.at).toBe(100);
});

test.each([
  [["recovered"], ["Lost answer recovered"]],
  [["recovered", "recovered", "recovered"], ["3 lost answers recovered"]],
  [["elsewhere"], ["Answered elsewhere"]],
  [["elsewhere", "elsewhere"], ["2 answers elsewhere"]],
  [["forked"], ["Restored from a backup"]],
  [["rotated"], []],
])("%j is told in words, once, at the last of them", (kinds, said) => {
  const steps = kinds.map((kind, n) => step(kind, n + 1, (n + 1) * 20));

  const { labels } = layOut([login, ...steps], minute(100));

  expect(labels.map(({ text }) => text)).toEqual(said);
  for (const { at } of labels) expect(at).toBe(kinds.length * 20);
});

test("words run to the side that has room, each in a row of its own, the outer ones higher", () => {
  const steps = [login, step("elsewhere", 1, 10), step("recovered", 2, 60)];

  const { labels } = layOut(steps, minute(100));

  expect(labels.map(({ kind, row, runs }) => [kind, row, runs])).toEqual([
    ["recovered", 0, "left"],
    ["elsewhere", 1, "right"],
  ]);
});

test("a theft leads from the copied generation to where the session ended", () => {
  const steps = [
    login,
    step("rotated", 1, 20),
    step("rotated", 2, 40),
    step("rotated", 3, 60),
    step("reused", 1, 80, "curl"),
    step("ended", 3, 80),
  ];

  const { replay, marks } = layOut(steps, minute(80));

  expect(replay).toEqual({ from: 25, to: 100, text: "Old copy used · curl" });
  expect(marks.find(({ kind }) => kind === "reused")?.at).toBe(100);
});

test("where the copied generation is no longer kept, the replay leads from the last before it", () => {
  const steps = [login, step("rotated", 40, 60), step("reused", 7, 80)];

  expect(layOut(steps, minute(80)).replay).toEqual({ from: 0, to: 100, text: "Old copy used" });
});

test("a device whose name is too long for a phone is left to the table", () => {
  const steps = [login, step("reused", 0, 80, "an agent that tells its life")];

  expect(layOut(steps, minute(80)).replay?.text).toBe("Old copy used");
});

test("up to the first renewal that is kept, the line knows nothing", () => {
  const { forgottenTo, renewals } = layOut([login, step("rotated", 40, 60)], minute(80));

  expect(forgottenTo).toBe(75);
  expect(renewals).toBe(40);
});

test.each([
  [[login], false, "Logged in, still signed in."],
  [[login, step("rotated", 1, 5)], false, "Logged in, renewed 1 time, still signed in."],
  [
    [login, step("recovered", 2, 5), step("reused", 1, 9, "curl"), step("ended", 2, 9)],
    true,
    "Logged in, renewed 2 times, lost answer recovered, old copy used · curl, ended.",
  ],
])("is said in words: %#", (steps, isOver, said) => {
  const picture = layOut(steps, minute(9));

  expect(inWords(picture, isOver)).toBe(`${said} The table below has every step.`);
});
