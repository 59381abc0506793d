import type { Host } from "../../src/types.ts";

/** Real time, which a test can move forward. */
export interface Clock extends Pick<Host, "now" | "after"> {
  readonly advance: (ms: number) => void;
  /** Whether somebody waits for about `ms` (at most twice as long) from now. */
  readonly waits: (ms: number) => boolean;
}

export function createClock(): Clock {
  let ahead = 0;
  const timers = new Map<() => void, { due: number; timer: NodeJS.Timeout }>();
  const now = (): number => performance.now() + ahead;
  return {
    now,
    after(ms, callback) {
      const fire = (): void => {
        if (timers.delete(fire)) callback();
      };
      timers.set(fire, { due: now() + ms, timer: setTimeout(fire, ms) });
      return () => {
        clearTimeout(timers.get(fire)?.timer);
        timers.delete(fire);
      };
    },
    waits: (ms) =>
      [...timers.values()].some(({ due }) => due > now() + ms * 0.8 && due <= now() + ms * 2),
    advance(ms) {
      ahead += ms;
      for (const [fire, { due }] of [...timers]) if (due <= now()) fire();
    },
  };
}
