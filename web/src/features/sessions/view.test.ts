import { expect, test } from "vitest";
import { between, closer, isClosest, isWhole, moved, type View, wider } from "./view.ts";

const MINUTE = 60_000;
const whole = stretch(0, 100);

function stretch(from: number, to: number): View {
  return { from: from * MINUTE, to: to * MINUTE };
}

const at = (...minutes: readonly number[]): readonly number[] => minutes.map((n) => n * MINUTE);

test.each([
  ["closer keeps the middle where nothing happened", closer(whole, whole, []), stretch(25, 75)],
  ["closer goes to what happened", closer(whole, whole, at(10, 60, 80)), stretch(35, 85)],
  ["closer sees no further than before", closer(stretch(40, 60), whole, at(61)), stretch(45, 55)],
  ["wider keeps the middle", wider(stretch(40, 60), whole), stretch(30, 70)],
  ["wider at an edge grows the other way", wider(stretch(0, 20), whole), stretch(0, 40)],
  ["wider ends at the whole life", wider(stretch(10, 70), whole), whole],
  ["later goes half of its length", moved(stretch(20, 40), whole, 1), stretch(30, 50)],
  ["earlier stops at the login", moved(stretch(5, 25), whole, -1), stretch(0, 20)],
  ["later stops at the end", moved(stretch(75, 95), whole, 1), stretch(80, 100)],
  ["dragging shows what was dragged over", between(whole, 20, 30, whole), stretch(20, 30)],
  ["dragging back is the same", between(whole, 30, 20, whole), stretch(20, 30)],
  ["dragging in a part is of that part", between(stretch(50, 100), 0, 50, whole), stretch(50, 75)],
  ["a minute is the least", between(whole, 50, 50, whole), stretch(49.5, 50.5)],
])("%s", (_, got, wanted) => {
  expect(got).toEqual(wanted);
});

test("a session younger than a minute can be looked at no closer", () => {
  const young = { from: 0, to: 20_000 };

  expect(closer(young, young, [])).toEqual(young);
  expect([isClosest(young), isWhole(young, young)]).toEqual([true, true]);
});
