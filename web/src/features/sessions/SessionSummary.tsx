import { Link } from "@tanstack/react-router";
import type { ReactElement } from "react";
import type { SessionItem } from "../../api/routes.ts";
import { DeviceIcon } from "../../ui/DeviceIcon.tsx";
import { Time } from "../../ui/Time.tsx";
import { whyEnded } from "./why-ended.ts";

/** A session in two lines: its device, which leads to the details; where, and when last. */
export function SessionSummary({ item }: { readonly item: SessionItem }): ReactElement {
  return (
    <div className={`flex min-w-0 flex-1 gap-3 ${item.ended_at ? "text-ink-3" : ""}`}>
      <span className="flex size-8 shrink-0 items-center justify-center">
        <DeviceIcon device={item.device} />
      </span>
      <div className="min-w-0">
        <p className="font-medium">
          <Link to="/sessions/$id" params={{ id: item.id }} className="hover:underline">
            {item.device ?? "Unknown device"}
          </Link>
        </p>
        <p className={`text-sm ${item.ended_at ? "" : "text-ink-2"}`}>
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
    </div>
  );
}
