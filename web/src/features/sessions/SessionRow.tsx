import type { ReactElement } from "react";
import type { SessionItem } from "../../api/routes.ts";
import { Button } from "../../ui/Button.tsx";
import { SessionSummary } from "./SessionSummary.tsx";

export interface SessionRowProps {
  readonly item: SessionItem;
  readonly onEnd: () => void;
}

/** One of the other sessions; it can be ended here. */
export function SessionRow({ item, onEnd }: SessionRowProps): ReactElement {
  return (
    <li className="flex items-center gap-3 px-4 py-3">
      <SessionSummary item={item} />
      {item.ended_at ? (
        <span className="text-sm text-ink-3">Ended</span>
      ) : (
        <Button onClick={onEnd}>End session</Button>
      )}
    </li>
  );
}
