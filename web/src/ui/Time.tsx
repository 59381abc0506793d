import type { ReactElement } from "react";
import { ago, day, exactly, hour, moment, past } from "./time.ts";
import { useNow } from "./useNow.ts";

const WAYS = {
  /** "3 minutes ago" */
  ago,
  /** "tomorrow, 20:46", "30 November" */
  until: moment,
  /** "yesterday, 20:46" */
  past,
  /** "7 May" */
  day,
  /** "20:46" */
  hour,
} as const satisfies Readonly<Record<string, (at: Date, now: Date) => string>>;

export interface TimeProps {
  readonly at: string;
  readonly as?: keyof typeof WAYS;
}

/** A time as people say it; the exact one on hover and for machines. */
export function Time({ at, as = "ago" }: TimeProps): ReactElement {
  const now = useNow();
  const date = new Date(at);
  return (
    <time dateTime={at} title={exactly(date)}>
      {WAYS[as](date, now)}
    </time>
  );
}
