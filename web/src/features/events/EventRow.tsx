import {
  Ban,
  CircleUser,
  Info,
  KeyRound,
  LifeBuoy,
  LogIn,
  LogOut,
  ShieldAlert,
} from "lucide-react";
import type { ReactElement, ReactNode } from "react";
import type { SecurityEvent } from "../../api/routes.ts";
import { Time } from "../../ui/Time.tsx";
import { type EventSign, sentence } from "./sentence.ts";

const SIGNS: Readonly<Record<EventSign, { Icon: typeof Info; colour: string }>> = {
  in: { Icon: LogIn, colour: "bg-sunken text-ink-2" },
  out: { Icon: LogOut, colour: "bg-sunken text-ink-2" },
  key: { Icon: KeyRound, colour: "bg-accent-soft text-accent-text" },
  blocked: { Icon: Ban, colour: "bg-warn-soft text-warn" },
  theft: { Icon: ShieldAlert, colour: "bg-danger-soft text-danger" },
  kept: { Icon: LifeBuoy, colour: "bg-ok-soft text-ok" },
  account: { Icon: CircleUser, colour: "bg-accent-soft text-accent-text" },
  note: { Icon: Info, colour: "bg-sunken text-ink-2" },
};

export interface EventRowProps {
  readonly event: SecurityEvent;
  /** Under a day's heading the hour is enough. */
  readonly timeAs: "ago" | "hour";
  /** Happened in the session that is looking at it. */
  readonly here: boolean;
  readonly action?: ReactNode;
}

/** One thing that happened: a sign, a sentence, where from, when. */
export function EventRow({ event, timeAs, here, action }: EventRowProps): ReactElement {
  const { sign, text } = sentence(event);
  const { Icon, colour } = SIGNS[sign];
  const where = [event.device, event.ip].filter(Boolean).join(" · ");
  return (
    <li className="flex gap-3 px-4 py-3">
      <span className={`flex size-8 shrink-0 items-center justify-center rounded-full ${colour}`}>
        <Icon aria-hidden size={16} strokeWidth={1.75} />
      </span>
      <div className="min-w-0 flex-1">
        <div className="flex items-baseline justify-between gap-x-4">
          <p className="min-w-0 font-medium">{text}</p>
          <span className="shrink-0 text-sm text-ink-3">
            <Time at={event.at} as={timeAs} />
          </span>
        </div>
        <div className="flex flex-wrap items-center justify-between gap-x-4">
          <p className="text-sm text-ink-2">
            {where || "From an unknown place"}
            {here ? " · this session" : ""}
          </p>
          {action}
        </div>
      </div>
    </li>
  );
}
