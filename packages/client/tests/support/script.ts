/** Random scripts of what may befall a browser: a pure function of the seed. */

export type Step =
  | { readonly do: "open"; readonly tab: number }
  | { readonly do: "close"; readonly tab: number }
  | { readonly do: "freeze"; readonly tab: number }
  | { readonly do: "thaw"; readonly tab: number }
  | { readonly do: "request"; readonly tab: number }
  | { readonly do: "logout"; readonly tab: number }
  | { readonly do: "login"; readonly tab: number; readonly user: string }
  | { readonly do: "wake"; readonly tab: number; readonly what: "online" | "visible" | "restored" }
  /** The server ends no session: its access tokens are over, and requests get a 401. */
  | { readonly do: "expire" }
  /** The server denies: every session has been ended. */
  | { readonly do: "revoke" }
  | { readonly do: "offline" }
  | { readonly do: "online" }
  /** The cookie jar is what it was on the disk; `crash`: the browser with all its tabs has died. */
  | { readonly do: "jar-back" }
  | { readonly do: "crash" }
  | { readonly do: "time"; readonly ms: number }
  /** All that is under way goes on, one leg: to the server, or back. */
  | { readonly do: "flow" }
  /** One thing that is under way goes on so. */
  | { readonly do: "net"; readonly pick: number; readonly fate: Fate };

/** "well": it arrives, and is answered by the rules; else the answer is 503, a 409, or lost on this leg. */
export type Fate = "well" | "unreachable" | "superseded" | "lost";

/** With `rest`, everything comes to rest before the next step; without, they race. */
export type Script = readonly (Step & { readonly rest: boolean })[];

/** mulberry32, by Tommy Ettinger (public domain): 0 ≤ x < 1. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const FATES = ["well", "well", "unreachable", "superseded", "lost", "lost"] as const;

/** Around a refresh's jitter, the lock's and the fetch's patience, one grace, two, and a token's life. */
const TIMES = [300, 1_000, 1_000, 4_000, 9_000, 31_000, 61_000, 1_800_000] as const;

export function writeScript(seed: number, length: number, tabs: number): Script {
  const random = randomFrom(seed);
  const pick = <T>(...from: readonly [T, ...T[]]): T =>
    from[Math.floor(random() * from.length)] ?? from[0];
  const tab = (): number => Math.floor(random() * tabs);
  const kinds: readonly (readonly [weight: number, () => Step])[] = [
    [32, () => ({ do: "flow" })],
    [16, () => ({ do: "net", pick: random(), fate: pick(...FATES) })],
    [18, () => ({ do: "request", tab: tab() })],
    [14, () => ({ do: "expire" })],
    [6, () => ({ do: "time", ms: pick(...TIMES) })],
    [4, () => ({ do: "open", tab: tab() })],
    [4, () => ({ do: "thaw", tab: tab() })],
    [4, () => ({ do: "wake", tab: tab(), what: pick("online", "visible", "restored") })],
    [3, () => ({ do: "login", tab: tab(), user: pick("anna", "bert") })],
    [3, () => ({ do: "online" })],
    [2, () => ({ do: "logout", tab: tab() })],
    [2, () => ({ do: "close", tab: tab() })],
    [2, () => ({ do: "freeze", tab: tab() })],
    [2, () => ({ do: "jar-back" })],
    [1, () => ({ do: "offline" })],
    [1, () => ({ do: "crash" })],
    [1, () => ({ do: "revoke" })],
  ];
  const total = kinds.reduce((sum, [weight]) => sum + weight, 0);
  const step = (): Step => {
    let at = random() * total;
    for (const [weight, make] of kinds) {
      at -= weight;
      if (at < 0) return make();
    }
    return { do: "expire" };
  };
  // Whose time is over must have given up before the next step.
  const next = (made: Step) => ({ ...made, rest: made.do === "time" || random() < 0.6 });
  return Array.from({ length }, () => next(step()));
}
