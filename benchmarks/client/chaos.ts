/**
 * The same bad days for each client: several tabs whose token is over send all their requests at once, and the
 * answer to some refreshes is lost.
 */
import { startBrowser } from "./browser.ts";
import type { Account, Contender } from "./contenders.ts";
import { startWire } from "./wire.ts";

/** One expiry. */
export interface Round {
  /** The first answer to a refresh is lost. */
  readonly isLossy: boolean;
  /** When each tab begins, in ms. */
  readonly startsAt: readonly number[];
}

export interface Days {
  readonly rounds: readonly Round[];
  readonly requestsPerTab: number;
}

export interface Site {
  readonly origin: string;
  readonly account: Account;
  /** Returns when every access token is over. */
  readonly expire: () => Promise<unknown>;
}

export interface Tally {
  requests: number;
  /** Requests that came back with what they asked for. */
  ok: number;
  /** Refreshes that the server answered, whether or not that arrived. */
  refreshes: number;
  /** Sessions after which the user had to log in again: the server had refused a refresh with 401. */
  lost: number;
}

/** How far apart tabs notice an expiry: they share a moment, such as the laptop's waking. */
const SPREAD_MS = 30;

/** The days that every client gets: the same seed, the same days. */
export function plan(seed: number, rounds: number, tabs: number, lossRate: number): Round[] {
  const random = mulberry32(seed);
  return Array.from({ length: rounds }, () => ({
    isLossy: random() < lossRate,
    startsAt: Array.from({ length: tabs }, () => random() * SPREAD_MS),
  }));
}

export async function survive({ open }: Contender, site: Site, days: Days): Promise<Tally> {
  const wire = await startWire(site.origin);
  const browser = startBrowser(wire.origin);
  const first = open(browser);
  await first.logIn(site.account);
  const others = (days.rounds[0]?.startsAt ?? []).slice(1).map(() => open(browser));
  const tabs = [first, ...others];
  await Promise.all(tabs.map(({ api }) => api.get("/auth/me")));
  const atFirst = wire.refreshes();

  const tally: Tally = { requests: 0, ok: 0, refreshes: 0, lost: 0 };
  for (const { isLossy, startsAt } of days.rounds) {
    await site.expire();
    wire.lose(isLossy);
    const sent = tabs.flatMap(({ api }, n) =>
      Array.from({ length: days.requestsPerTab }, async () => {
        await new Promise((begin) => setTimeout(begin, startsAt[n]));
        return api.get("/auth/me");
      }),
    );
    const settled = await Promise.allSettled(sent);
    wire.lose(false);
    tally.requests += settled.length;
    tally.ok += settled.filter(({ status }) => status === "fulfilled").length;
    if (wire.ended.size === tally.lost) continue;
    tally.lost = wire.ended.size;
    await first.logIn(site.account);
  }
  tally.refreshes = wire.refreshes() - atFirst;
  for (const { close } of tabs) close();
  await wire.close();
  return tally;
}

/** A small seeded generator. Source: Tommy Ettinger's mulberry32, in the public domain. */
function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
