import { CircleCheck, Info, ShieldAlert, TriangleAlert } from "lucide-react";
import type { ReactElement, ReactNode } from "react";

export type Tone = "info" | "ok" | "warn" | "danger";

const TONES: Readonly<Record<Tone, { box: string; icon: string; Icon: typeof Info }>> = {
  info: { box: "bg-sunken", icon: "text-ink-2", Icon: Info },
  ok: { box: "bg-ok-soft", icon: "text-ok", Icon: CircleCheck },
  warn: { box: "bg-warn-soft", icon: "text-warn", Icon: TriangleAlert },
  danger: { box: "bg-danger-soft", icon: "text-danger", Icon: ShieldAlert },
};

export interface NoticeProps {
  readonly tone?: Tone;
  /** `alert` is read out at once, `status` when there is a pause. */
  readonly role?: "alert" | "status";
  readonly id?: string;
  readonly children: ReactNode;
}

/** A sentence or two beside what they are about, with a sign for those who do not see the colour. */
export function Notice({ tone = "info", role, id, children }: NoticeProps): ReactElement {
  const { box, icon, Icon } = TONES[tone];
  return (
    <div
      id={id}
      role={role}
      className={`flex animate-appear gap-3 rounded-control px-3 py-3 ${box}`}
    >
      <Icon aria-hidden size={16} className={`mt-0.5 shrink-0 ${icon}`} />
      <div className="min-w-0 flex-1">{children}</div>
    </div>
  );
}
