import type { ReactElement } from "react";
import { Button } from "./Button.tsx";
import { Notice } from "./Notice.tsx";

export interface LoadErrorProps {
  /** "your sessions" */
  readonly what: string;
  readonly onRetry: () => void;
}

export function LoadError({ what, onRetry }: LoadErrorProps): ReactElement {
  return (
    <Notice tone="warn" role="status">
      <div className="flex flex-wrap items-center justify-between gap-3">
        <p>We couldn't load {what} just now.</p>
        <Button onClick={onRetry}>Try again</Button>
      </div>
    </Notice>
  );
}
