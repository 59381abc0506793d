import { expect, test } from "vitest";
import type { LineageStep } from "../../api/routes.ts";
import {
  accessUntil,
  inWords,
  type Life,
  layOut,
  type Picture,
  wholeOf,
} from "./lineage-picture.ts";
import type { View } from "./view.ts";

const START = Date.UTC(2026, 10, 23, 12);

const minute = (n: number): Date => new Date(START + n * 60_000);

function step(kind: string, generation: number, after: number, device?: string): LineageStep {
  return { kind, generation, at: minute(after).toISOString(), ip: null, device: device ?? null };
}

const login = step("created", 0, 0);

const living = (...lineage: readonly LineageStep[]): Life => ({
  lineage,
  endedAt: null,
  accessLife: 10 * 60_000,
});

const part = (from: number, to: number): View => ({
  from: minute(from).getTime(),
  to: minute(to).getTime(),
});

/** All of it. */
function layOutAll(lineage: readonly LineageStep[], now: Date): Picture {
  const whole = wholeOf(living(...lineage), now);
  return layOut(living(...lineage), whole, whole);
}

/** A part of a life of 100 minutes. */
function layOutPart(life: Life, from: number, to: number): Picture {
  return layOut(life, part(from, to), wholeOf(life, minute(100)));
}

test("a single login stands at the beginning, with nothing to say", () => {
  const { marks, labels, replay, renewals, forgottenTo } = layOutAll([login], minute(10));

  expect(marks).toEqual([{ kind: "created", at: 0, to: 0, steps: [login] }]);
  expect([labels, replay, renewals, forgottenTo]).toEqual([[], null, 0, 0]);
});

test("steps stand in the order of their times, in proportion, however they came", () => {
  const picture = layOutAll([step("rotated", 2, 75), login, step("rotated", 1, 25)], minute(100));

  expect(picture.marks.map(({ at }) => at)).toEqual([0, 25, 75]);
  expect(picture.renewals).toBe(2);
});

test("many renewals run together, and none is lost", () => {
  const hundreds = Array.from({ length: 500 }, (_, n) => step("rotated", n + 1, n));
  const later = step("rotated", 501, 900);

  const { marks, renewals } = layOutAll([login, ...hundreds, later], minute(1_000));

  expect(marks.map(({ at, to, steps }) => [at, to, steps.length])).toEqual([
    [0, 0, 1],
    [0, 49.9, 500],
    [90, 90, 1],
  ]);
  expect(renewals).toBe(501);
});

test("what matters keeps a mark of its own among renewals that run together", () => {
  const steps = [10, 10.5, 11.5, 12].map((at, n) => step("rotated", n + 1, at));

  const { marks } = layOutAll([login, ...steps, step("elsewhere", 2, 11)], minute(100));

  expect(marks.map(({ kind, at, to }) => [kind, at, to])).toEqual([
    ["created", 0, 0],
    ["rotated", 10, 12],
    ["elsewhere", 11, 11],
  ]);
});

test("equal times share a place, at the beginning too", () => {
  const steps = [login, step("rotated", 1, 0), step("rotated", 2, 0)];

  const { marks } = layOutAll(steps, minute(0));

  expect(marks.map(({ kind, at, to, steps }) => [kind, at, to, steps.length])).toEqual([
    ["created", 0, 0, 1],
    ["rotated", 0, 0, 2],
  ]);
});

test("a server whose clock is ahead stays inside the picture", () => {
  const { marks } = layOutAll([login, step("rotated", 1, 30)], minute(15));

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

  const { labels } = layOutAll([login, ...steps], minute(100));

  expect(labels.map(({ text }) => text)).toEqual(said);
  for (const { at } of labels) expect(at).toBe(kinds.length * 20);
});

test("words run to the side that has room, each in a row of its own, the outer ones higher", () => {
  const steps = [login, step("elsewhere", 1, 10), step("recovered", 2, 60)];

  const { labels } = layOutAll(steps, minute(100));

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

  const { replay, marks } = layOutAll(steps, minute(80));

  expect(replay).toEqual({ from: 25, to: 100, text: "Old copy used · curl" });
  expect(marks.find(({ kind }) => kind === "reused")?.at).toBe(100);
});

test("where the copied generation is no longer kept, the replay leads from the last before it", () => {
  const steps = [login, step("rotated", 40, 60), step("reused", 7, 80)];

  expect(layOutAll(steps, minute(80)).replay).toEqual({ from: 0, to: 100, text: "Old copy used" });
});

test("a device whose name is too long for a phone is left to the table", () => {
  const steps = [login, step("reused", 0, 80, "an agent that tells its life")];

  expect(layOutAll(steps, minute(80)).replay?.text).toBe("Old copy used");
});

test("up to the first renewal that is kept, the line knows nothing", () => {
  const { forgottenTo, renewals } = layOutAll([login, step("rotated", 40, 60)], minute(80));

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
  const picture = layOutAll(steps, minute(9));

  expect(inWords(picture, isOver, null)).toBe(`${said} The table below has every step.`);
});

const renewedOften = [login, ...[5, 12, 60, 90].map((at, n) => step("rotated", n + 1, at))];

test("access tokens whose lives overlap are one bar, which fades with the last of them", () => {
  const { bars } = layOutAll(renewedOften, minute(100));

  expect(bars).toEqual([
    { from: 0, fades: 12, to: 22 },
    { from: 60, fades: 60, to: 70 },
    { from: 90, fades: 90, to: 100 },
  ]);
});

test("the end of a session ends its access too, at once", () => {
  const life = { ...living(login), endedAt: minute(4).toISOString() };
  const whole = wholeOf(life, minute(50));

  expect(layOut(life, whole, whole).bars).toEqual([{ from: 0, fades: 100, to: 100 }]);
  expect(accessUntil(login, life)).toBe(minute(4).getTime());
});

test("an alarm gives no access, and where nobody knows how long it lasts, no bar says so", () => {
  const life = living(login, step("reused", 0, 40));

  expect(accessUntil(step("reused", 0, 40), life)).toBeNull();
  expect(layOutPart({ ...life, accessLife: null }, 0, 100).bars).toEqual([]);
});

test("a part shows what lies in it, over all the width", () => {
  const { marks, renewals, begins, ends, bars } = layOutPart(living(...renewedOften), 50, 70);

  expect(marks.map(({ at, steps }) => [at, steps[0]?.generation])).toEqual([[50, 3]]);
  expect(bars).toEqual([{ from: 50, fades: 50, to: 100 }]);
  expect([renewals, begins, ends]).toEqual([1, false, false]);
});

test("a bar that began before a part, or goes on after it, is cut", () => {
  expect(layOutPart(living(...renewedOften), 62, 66).bars).toEqual([
    { from: 0, fades: 0, to: 100 },
  ]);
});

test("renewals that are no longer kept are told of the whole, not of a part", () => {
  const life = living(login, step("rotated", 40, 60));

  expect([layOutPart(life, 0, 100).renewals, layOutPart(life, 50, 70).renewals]).toEqual([40, 1]);
});

test("a theft is told in the part where it ended the session, wherever the copy is from", () => {
  const life = living(login, step("rotated", 1, 20), step("reused", 0, 80));

  expect(layOutPart(life, 60, 100).replay).toEqual({ from: 0, to: 50, text: "Old copy used" });
  expect(layOutPart(life, 0, 60).replay).toBeNull();
});

test.each([
  [0, 20, "Between: logged in, renewed 2 times."],
  [50, 70, "Between: renewed 1 time."],
  [30, 40, "Between: nothing happened."],
  [80, 100, "Between: renewed 1 time, still signed in."],
])("a part from %i to %i is said in words", (from, to, said) => {
  const picture = layOutPart(living(...renewedOften), from, to);

  expect(inWords(picture, false, "between")).toBe(`${said} The table below has every step.`);
});
