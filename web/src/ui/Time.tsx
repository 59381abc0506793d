import type { ReactElement } from "react";
import { ago, exactly, hour, moment } from "./time.ts";
import { useNow } from "./useNow.ts";

export interface TimeProps {
  readonly at: string;
  /** `ago`: "3 minutes ago". `until`: "30 November, 20:46". `hour`: "20:46". */
  readonly as?: "ago" | "until" | "hour";
}

/** A time as people say it; the exact one on hover and for machines. */
export function Time({ at, as = "ago" }: TimeProps): ReactElement {
  const now = useNow();
  const date = new Date(at);
  const text = as === "ago" ? ago(date, now) : as === "until" ? moment(date, now) : hour(date);
  return (
    <time dateTime={at} title={exactly(date)}>
      {text}
    </time>
  );
}
