import { afterAll, beforeAll, expect, test } from "vitest";
import { play } from "./support/play.ts";
import { writeScript } from "./support/script.ts";
import { startThreads, type Threads } from "./support/threads.ts";

const TABS = 3;
const STEPS = 45;
const RUNS = Number(process.env.INTERLEAVINGS ?? 300);

/** `INTERLEAVINGS_SEED=7` plays that one alone. */
const SEED = process.env.INTERLEAVINGS_SEED;

let browser: Threads;

beforeAll(() => {
  browser = startThreads(TABS);
});

afterAll(() => browser.end());

test("whatever befalls the tabs, the four laws hold", { timeout: 120_000 }, async () => {
  const first = Number(SEED ?? 1);
  const seeds = Array.from({ length: SEED === undefined ? RUNS : 1 }, (_, n) => first + n);
  for (const seed of seeds) {
    const { broken, trace } = await play(browser, writeScript(seed, STEPS, TABS));
    expect(broken, `INTERLEAVINGS_SEED=${seed}\n${trace.join("\n")}`).toEqual([]);
  }
});
