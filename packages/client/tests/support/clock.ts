import type { Host } from "../../src/types.ts";

/** Real time, which a test can move forward. */
export interface Clock extends Pick<Host, "now" | "after"> {
  readonly advance: (ms: number) => void;
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
    advance(ms) {
      ahead += ms;
      for (const [fire, { due }] of [...timers]) if (due <= now()) fire();
    },
  };
}
