import { describe, expect, test } from "vitest";
import { createStreamReader } from "../src/event-stream.ts";

type Told = readonly [type: string, data: string, lastEventId: string];

function read(...pieces: readonly string[]): readonly Told[] {
  const told: Told[] = [];
  const reader = createStreamReader((...event) => told.push(event));
  for (const piece of pieces) reader.read(piece);
  return told;
}

// biome-ignore format: a table is read by its columns
const TABLE: readonly (readonly [why: string, text: string, ...told: Told[]])[] = [
  ["a line and its end", "data: a\n\n", ["message", "a", ""]],
  ["not ended, not told", "data: a\n"],
  ["several lines are one text", "data: a\ndata: b\n\n", ["message", "a\nb", ""]],
  ["a name of its own", "event: tick\ndata: 1\n\ndata: 2\n\n", ["tick", "1", ""], ["message", "2", ""]],
  ["an id stays until the next", "id: 7\ndata: a\n\ndata: b\n\n", ["message", "a", "7"], ["message", "b", "7"]],
  ["an empty id takes it back", "id: 7\ndata: a\n\nid\ndata: b\n\n", ["message", "a", "7"], ["message", "b", ""]],
  ["an id with NUL is none", "id: 7\0\ndata: a\n\n", ["message", "a", ""]],
  ["comments are nothing", ": alive\n\ndata: a\n\n", ["message", "a", ""]],
  ["one space belongs to the colon", "data:  a\n\ndata:a\n\n", ["message", " a", ""], ["message", "a", ""]],
  ["a colon in the text", "data: a: b\n\n", ["message", "a: b", ""]],
  ["an event without data is nothing", "event: tick\n\ndata: a\n\n", ["message", "a", ""]],
  ["unknown fields are nothing", "date: a\ndata: b\n\n", ["message", "b", ""]],
  ["CRLF", "data: a\r\n\r\n", ["message", "a", ""]],
  ["CR", "data: a\r\rdata: b\r\r:", ["message", "a", ""], ["message", "b", ""]],
  ["a line separator of Unicode is text", "data: a\u2028b\n\n", ["message", "a\u2028b", ""]],
];

describe.for(TABLE)("%s", ([, text, ...told]) => {
  test("in one piece", () => {
    expect(read(text)).toEqual(told);
  });

  test("letter by letter", () => {
    expect(read(...text)).toEqual(told);
  });
});

test("the server's wish when to come again", () => {
  const reader = createStreamReader(() => {});
  expect(reader.retryInMs()).toBeNull();

  reader.read("retry: 2500\nretry: soon\n");

  expect(reader.retryInMs()).toBe(2_500);
});
