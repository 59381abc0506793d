import { Link } from "@tanstack/react-router";
import type { ReactElement } from "react";
import type { SessionItem } from "../../api/routes.ts";
import { Button } from "../../ui/Button.tsx";
import { DeviceIcon } from "../../ui/DeviceIcon.tsx";
import { Time } from "../../ui/Time.tsx";
import { whyEnded } from "./why-ended.ts";

export interface SessionRowProps {
  readonly item: SessionItem;
  readonly onEnd: () => void;
}

/** One of the other sessions: its name leads to the details; it can be ended here. */
export function SessionRow({ item, onEnd }: SessionRowProps): ReactElement {
  const ended = item.ended_at !== null;
  return (
    <li className="relative flex flex-wrap items-center gap-x-3 gap-y-2 px-4 py-3">
      <div className={`flex min-w-0 flex-1 basis-56 gap-3 ${ended ? "opacity-70" : ""}`}>
        <span className="flex size-8 shrink-0 items-center justify-center">
          <DeviceIcon device={item.device} />
        </span>
        <div className="min-w-0">
          <p className="font-medium">
            <Link to="/sessions/$id" params={{ id: item.id }} className="hover:underline">
              {item.device ?? "Unknown device"}
            </Link>
          </p>
          <p className="text-sm text-ink-2">
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
      {ended ? (
        <span className="text-sm text-ink-3">Ended</span>
      ) : (
        <Button onClick={onEnd}>
          End session
        </Button>
      )}
    </li>
  );
}
