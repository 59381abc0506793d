import { Link } from "@tanstack/react-router";
import { CircleX, Ellipsis, Info } from "lucide-react";
import type { ReactElement } from "react";
import type { SessionItem } from "../../api/routes.ts";
import { Popup, popupItemClass } from "../../ui/Popup.tsx";
import { BriefLimits } from "./BriefLimits.tsx";
import { deviceOf } from "./device.ts";
import { SessionSummary } from "./SessionSummary.tsx";

export interface SessionRowProps {
  readonly item: SessionItem;
  /** Left out: it has ended. */
  readonly onEnd?: () => void;
}

/** One of the other sessions; it can be ended here. */
export function SessionRow({ item, onEnd }: SessionRowProps): ReactElement {
  return (
    <SessionSummary item={item} aside={item.ended_at ? null : <BriefLimits item={item} />}>
      {onEnd ? (
        <Popup
          className="relative shrink-0 self-center"
          buttonClass="flex size-8 items-center justify-center pointer-coarse:size-10"
          panelClass="top-full right-0 mt-1 w-40"
          button={
            <>
              <Ellipsis aria-hidden size={16} />
              <span className="sr-only">Actions for {deviceOf(item)}</span>
            </>
          }
        >
          {(close) => (
            <>
              <Link to="/sessions/$id" params={{ id: item.id }} className={popupItemClass}>
                <Info aria-hidden size={16} className="text-ink-2" />
                Details
              </Link>
              <button
                type="button"
                onClick={() => {
                  close();
                  onEnd();
                }}
                className={`${popupItemClass} text-danger`}
              >
                <CircleX aria-hidden size={16} />
                End session
              </button>
            </>
          )}
        </Popup>
      ) : null}
    </SessionSummary>
  );
}
