import { expect, test } from "vitest";
import { ago, dayHeading, moment, past, stretch, wait } from "./time.ts";

/** A Monday, in whatever time zone the tests run. */
const NOW = new Date(2026, 10, 23, 20, 46, 0);
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

test.each([
  [-5 * SECOND, "just now"],
  [0, "just now"],
  [44 * SECOND, "just now"],
  [45 * SECOND, "1 minute ago"],
  [90 * SECOND, "2 minutes ago"],
  [59 * MINUTE, "59 minutes ago"],
  [HOUR, "1 hour ago"],
  [20 * HOUR, "20 hours ago"], // still today
  [21 * HOUR, "yesterday"],
  [44 * HOUR, "yesterday"],
  [45 * HOUR, "2 days ago"],
  [6 * 24 * HOUR, "6 days ago"],
  [7 * 24 * HOUR, "16 November"],
  [365 * 24 * HOUR, "23 November 2025"],
])("%i ms earlier is said as: %s", (passed, said) => {
  expect(ago(new Date(NOW.getTime() - passed), NOW)).toBe(said);
});

test.each([
  [-MINUTE, "today, 20:47"], // clocks differ
  [MINUTE, "today, 20:45"],
  [21 * HOUR, "yesterday, 23:46"],
  [48 * HOUR, "21 November, 20:46"],
])("%i ms earlier is said exactly as: %s", (passed, said) => {
  expect(past(new Date(NOW.getTime() - passed), NOW)).toBe(said);
});

test("a stretch of time has a beginning and an end", () => {
  const from = new Date(NOW.getTime() - 21 * HOUR);

  expect(stretch(from, NOW, NOW)).toBe("From yesterday, 23:46 until today, 20:46");
});

test("shortly after midnight, an hour ago is not yesterday", () => {
  const late = new Date(2026, 10, 23, 0, 30);

  expect(ago(new Date(2026, 10, 22, 23, 0), late)).toBe("1 hour ago");
});

test.each([
  [new Date(2026, 10, 23, 0, 0), "Today"],
  [new Date(2026, 10, 22, 23, 59), "Yesterday"],
  [new Date(2026, 10, 16, 12, 0), "Monday, 16 November"],
  [new Date(2025, 11, 31, 12, 0), "Wednesday, 31 December 2025"],
])("the heading of %s is: %s", (at, heading) => {
  expect(dayHeading(at, NOW)).toBe(heading);
});

test.each([
  [new Date(2026, 10, 23, 21, 5), "today, 21:05"],
  [new Date(2026, 10, 24, 8, 0), "tomorrow, 08:00"],
  [new Date(2026, 10, 30, 8, 0), "30 November"],
  [new Date(2027, 0, 2, 8, 0), "2 January 2027"],
])("a limit at %s is said as: %s", (at, said) => {
  expect(moment(at, NOW)).toBe(said);
});

test.each([
  [1, "1 s"],
  [8 * SECOND, "8 s"],
  [8 * SECOND + 1, "9 s"],
  [60 * SECOND, "1 min"],
  [75 * SECOND, "1 min 15 s"],
  [63 * MINUTE, "1 h 3 min"],
])("%i ms to wait are said as: %s", (ms, said) => {
  expect(wait(ms)).toBe(said);
});
