import { afterAll, beforeAll, expect, test } from "vitest";
import { type Play, play } from "./support/play.ts";
import { writeScript } from "./support/script.ts";
import { startThreads, type Threads } from "./support/threads.ts";

const TABS = 3;
const STEPS = 45;
const RUNS = Number(process.env.INTERLEAVINGS ?? 300);

/** A broken script is played so many times more. */
const AGAIN = 3;

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
    const { broken, trace } = await playAgainIfBroken(seed);
    expect(broken, `INTERLEAVINGS_SEED=${seed}\n${trace.join("\n")}`).toEqual([]);
  }
});

/** Threads race, those of the test too: what is broken once in so many plays of one script is theirs. */
async function playAgainIfBroken(seed: number): Promise<Play> {
  const script = writeScript(seed, STEPS, TABS);
  const once = await play(browser, script);
  for (let again = 0; once.broken.length > 0 && again < AGAIN; again += 1) {
    const more = await play(browser, script);
    if (more.broken.length > 0) return more;
  }
  return { ...once, broken: [] };
}
