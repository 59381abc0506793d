import { useSyncExternalStore } from "react";

/** One clock for every time on the page: they all move on together, and none while nobody looks. */
function ticking(everyMs: number): {
  subscribe: (tell: () => void) => () => void;
  read: () => number;
} {
  const listeners = new Set<() => void>();
  let now = Date.now();
  let timer: ReturnType<typeof setInterval> | undefined;

  function tick(): void {
    now = Date.now();
    for (const tell of listeners) tell();
  }
  return {
    subscribe(tell) {
      if (listeners.size === 0) {
        now = Date.now();
        timer = setInterval(tick, everyMs);
      }
      listeners.add(tell);
      return () => {
        listeners.delete(tell);
        if (listeners.size === 0) clearInterval(timer);
      };
    },
    read: () => {
      if (listeners.size === 0 && Date.now() - now > everyMs) now = Date.now();
      return now;
    },
  };
}

const halfMinutes = ticking(30_000);

/** The present, to within half a minute. */
export function useNow(): Date {
  return new Date(useSyncExternalStore(halfMinutes.subscribe, halfMinutes.read));
}
