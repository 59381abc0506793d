import { Link } from "@tanstack/react-router";
import type { ReactElement, ReactNode } from "react";
import type { SessionItem } from "../../api/routes.ts";
import { DeviceIcon } from "../../ui/DeviceIcon.tsx";
import { rowLinkClass } from "../../ui/link.ts";
import { Time } from "../../ui/Time.tsx";
import { deviceOf } from "./device.ts";
import { whyEnded } from "./why-ended.ts";

export interface SessionSummaryProps {
  readonly item: SessionItem;
  /** More of it: at the right where there is room, else below. */
  readonly aside?: ReactNode;
  /** At the end of the row, above the link. */
  readonly children?: ReactNode;
}

/** A row of a list: the device; where, and when last. All of it leads to the details. */
export function SessionSummary({ item, aside, children }: SessionSummaryProps): ReactElement {
  const colour = item.ended_at ? "text-ink-3" : "text-ink-2";
  return (
    <li className="relative flex gap-3 px-4 py-3 transition-colors first:rounded-t-card last:rounded-b-card hover:bg-sunken">
      <span className={`flex size-8 shrink-0 items-center justify-center self-center ${colour}`}>
        <DeviceIcon device={item.device} />
      </span>
      <div className="min-w-0 flex-1 sm:flex sm:items-center sm:justify-between sm:gap-6">
        <div className="min-w-0">
          <p className={`font-medium ${item.ended_at ? colour : ""}`}>
            <Link to="/sessions/$id" params={{ id: item.id }} className={rowLinkClass}>
              {deviceOf(item)}
            </Link>
          </p>
          <p className={`text-sm ${colour}`}>
            {item.ip ? `${item.ip} · ` : ""}
            {item.ended_at ? (
              <>
                {whyEnded(item.ended_reason)}, <Time at={item.ended_at} />
              </>
            ) : (
              <>
                active <Time at={item.last_used_at} />
              </>
            )}
          </p>
        </div>
        {aside ? (
          <div className="mt-1 shrink-0 text-xs text-ink-3 sm:mt-0 sm:text-right">{aside}</div>
        ) : null}
      </div>
      {children}
    </li>
  );
}
