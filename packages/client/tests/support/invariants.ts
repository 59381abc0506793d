/**
 * What must never be seen, whatever befalls the tabs:
 *
 * 1. two rotations of one generation beyond what the server's grace absorbs;
 * 2. a token after logout;
 * 3. a request that never settles;
 * 4. a logout that nobody asked for.
 */
import { type Family, generationOf, type Verdict } from "./family.ts";
import { claimsOf, type Model } from "./model.ts";
import type { Exchange, Thread, Threads } from "./threads.ts";

export interface Invariants {
  readonly broken: string[];
  readonly ruled: (family: Family, verdict: Verdict, presented: string) => void;
  readonly left: (exchange: Exchange) => void;
  /** A user logs out: whoever is signed in, or is about to be. */
  readonly loggedOut: (families: Iterable<string>) => void;
  /** A login took its place, or the server ended it. */
  readonly endedByWish: (families: Iterable<string>) => void;
  /** The disk has brought back what had been logged out. */
  readonly broughtBack: (family: string) => void;
  /** The family that every page must show in the end; null: no saying. */
  expected: string | null;
  /** Everything has come to rest. */
  readonly atRest: (model: Model) => void;
  /** Nothing is to come any more: no fault, no frozen tab, all answered. */
  readonly atTheEnd: () => void;
}

export const familyOf = (cookie: string | null | undefined): string | null =>
  cookie?.split(".")[0] || null;

const sessionOf = ({ snapshot }: Thread): string | null =>
  "sessionId" in snapshot ? snapshot.sessionId : null;

export function createInvariants(browser: Threads): Invariants {
  const { shared, threads } = browser;
  const loggedOut = new Set<string>();
  const wished = new Set<string>();
  /** Per tab: which logouts it has had the time to hear of. */
  const heard = threads.map(() => new Set<string>());
  /** Per page: the session that it showed last. */
  const held = new Map<number, string>();

  const breaks = (law: 1 | 2 | 3 | 4, what: string): void => {
    invariants.broken.push(`(${law}) ${what}`);
  };

  function lookAtPage(thread: Thread, model: Model): void {
    const { tab, page, snapshot } = thread;
    if (page === null || shared.isFrozen(tab)) return;
    heard[tab] = new Set(loggedOut);
    const session = sessionOf(thread);
    if (session !== null) {
      held.set(page, session);
      if (loggedOut.has(session)) breaks(2, `tab ${tab} shows ${session} after the logout`);
    }
    const last = held.get(page);
    const isOver = snapshot.status === "expired" || snapshot.status === "anonymous";
    if (!isOver || last === undefined || wished.has(last)) return;
    breaks(
      4,
      `tab ${tab} is ${JSON.stringify(snapshot)}, ${last} ${model.families.get(last)?.ended ?? "lives"}`,
    );
  }

  const invariants: Invariants = {
    broken: [],
    expected: null,

    ruled(family, verdict, presented) {
      if (verdict === "reused") breaks(1, `${presented} was taken for a thief's`);
      const jar = shared.jar().refresh_token;
      const hasSuccessor =
        familyOf(jar) === family.id && generationOf(jar ?? "") > generationOf(presented);
      if (verdict === "recover" && hasSuccessor) {
        breaks(1, `${presented} was rotated once more, although ${jar} had come of it`);
      }
    },

    left({ path, tab, bearer, holdsLock }) {
      const isAlone = holdsLock || threads[tab]?.isImpatient;
      if (path === "/auth/refresh" && !isAlone) breaks(1, `tab ${tab} refreshes without the lock`);
      if (!path.startsWith("/api") || bearer === null) return;
      const { sid } = claimsOf(bearer);
      if (heard[tab]?.has(sid)) breaks(2, `tab ${tab} sends a token of ${sid} after the logout`);
    },

    loggedOut(families) {
      for (const family of families) {
        loggedOut.add(family);
        wished.add(family);
      }
    },

    endedByWish(families) {
      for (const family of families) wished.add(family);
    },

    broughtBack(family) {
      loggedOut.delete(family);
      for (const each of heard) each.delete(family);
    },

    atRest(model) {
      for (const thread of threads) lookAtPage(thread, model);
      for (const { id, ended } of model.families.values()) {
        if (ended !== null && !wished.has(id)) breaks(4, `${id} was ended: ${ended}`);
      }
    },

    atTheEnd() {
      const open = new Set(threads.map(({ page }) => page));
      for (const { what, tab, page, how } of browser.jobs) {
        if (how === null && open.has(page)) breaks(3, `${what} in tab ${tab} never settled`);
      }
      const { expected } = invariants;
      for (const thread of threads) {
        const isStillTrying = thread.snapshot.status === "unreachable";
        if (expected === null || thread.page === null || isStillTrying) continue;
        if (sessionOf(thread) === expected) continue;
        breaks(4, `tab ${thread.tab} is ${JSON.stringify(thread.snapshot)}, not in ${expected}`);
      }
    },
  };
  return invariants;
}
