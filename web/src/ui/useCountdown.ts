import { useEffect, useState } from "react";

/**
 * Counts down from `ms`, and again whenever `since` is another one; 0 once it is over.
 * Measured on the monotonic clock, so that a changed system clock does not matter.
 */
export function useCountdown(ms: number, since: unknown): number {
  const [left, setLeft] = useState(ms);

  // biome-ignore lint/correctness/useExhaustiveDependencies: `since` is what starts it again
  useEffect(() => {
    const end = performance.now() + ms;
    setLeft(ms);
    if (ms <= 0) return;
    const timer = setInterval(() => {
      const rest = Math.max(0, end - performance.now());
      setLeft(rest);
      if (rest === 0) clearInterval(timer);
    }, 250);
    return () => clearInterval(timer);
  }, [ms, since]);

  return left;
}
