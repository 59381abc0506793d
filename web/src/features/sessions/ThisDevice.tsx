import { Link } from "@tanstack/react-router";
import type { ReactElement, ReactNode } from "react";
import type { SessionItem } from "../../api/routes.ts";
import { Card } from "../../ui/Card.tsx";
import { DeviceIcon } from "../../ui/DeviceIcon.tsx";
import { rowLinkClass } from "../../ui/link.ts";
import { Time } from "../../ui/Time.tsx";
import { deviceOf } from "./device.ts";
import { Limits } from "./Limits.tsx";

export interface ThisDeviceProps {
  readonly item: SessionItem;
  /** One more line: how it has fared. */
  readonly note?: ReactNode;
}

/** The session that looks at the page. */
export function ThisDevice({ item, note }: ThisDeviceProps): ReactElement {
  return (
    <Card label="This device">
      <div className="relative flex gap-4 rounded-card p-4 transition-colors hover:bg-sunken">
        <span className="flex size-10 shrink-0 items-center justify-center rounded-full bg-accent-soft text-ink-2">
          <DeviceIcon device={item.device} />
        </span>
        <div className="min-w-0 flex-1">
          <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
            <h2 className="text-lg font-semibold tracking-tight">
              <Link to="/sessions/$id" params={{ id: item.id }} className={rowLinkClass}>
                {deviceOf(item)}
              </Link>
            </h2>
            <span className="flex items-center gap-2 text-sm font-medium text-ok">
              <span className="size-2 rounded-full bg-ok" />
              This device
            </span>
          </div>
          <p className="text-ink-2">
            {item.ip ? `${item.ip} · ` : ""}logged in <Time at={item.created_at} />
          </p>
          <div className="mt-3 border-t border-line pt-3 text-sm text-ink-2">
            <Limits item={item} />
            {note}
          </div>
        </div>
      </div>
    </Card>
  );
}
