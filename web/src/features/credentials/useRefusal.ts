import { useState } from "react";
import { useCountdown } from "../../ui/useCountdown.ts";
import { type Refusal, refusalOf } from "./refusal.ts";

export interface RefusalView {
  /** Null once its wait is over: what it said no longer holds. */
  readonly refusal: Refusal | null;
  readonly waitMs: number;
  /** Does it; a refusal is kept and handed back, null where it went well. */
  readonly attempt: (action: () => Promise<void>) => Promise<Refusal | null>;
}

/** What became of the last attempt to send a form. */
export function useRefusal(): RefusalView {
  const [refusal, setRefusal] = useState<Refusal | null>(null);
  const [seen, setSeen] = useState<Refusal | null>(null);
  const waitMs = useCountdown(refusal?.waitMs ?? 0, refusal);
  // The countdown starts after the first render with a new refusal: until then it still says 0.
  if (waitMs > 0 && seen !== refusal) setSeen(refusal);
  const over = refusal?.waitMs != null && waitMs === 0 && seen === refusal;

  async function attempt(action: () => Promise<void>): Promise<Refusal | null> {
    setRefusal(null);
    try {
      await action();
      return null;
    } catch (error) {
      const refused = refusalOf(error);
      setRefusal(refused);
      return refused;
    }
  }
  return { refusal: over ? null : refusal, waitMs, attempt };
}
