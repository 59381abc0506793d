import type { ReactElement } from "react";
import { Notice } from "../../ui/Notice.tsx";
import { wait } from "../../ui/time.ts";

export interface RefusedProps {
  readonly text: string;
  /** What is left of the wait; 0: none. */
  readonly waitMs: number;
}

/** The sentence above a form that was refused; counts down where it has to wait. */
export function Refused({ text, waitMs }: RefusedProps): ReactElement {
  return (
    <Notice tone="warn" role="alert">
      <p className="tabular-nums">
        {text}{" "}
        {waitMs > 0 ? (
          <span aria-live="off">
            Try again in <span className="whitespace-nowrap">{wait(waitMs)}.</span>
          </span>
        ) : null}
      </p>
    </Notice>
  );
}
