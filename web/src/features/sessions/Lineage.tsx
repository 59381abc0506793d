import { useQuery } from "@tanstack/react-query";
import { ChevronLeft, ChevronRight, Maximize2, ZoomIn, ZoomOut } from "lucide-react";
import { type ReactElement, useState } from "react";
import { accessTokenLife } from "../../api/access-token.ts";
import type { LineageStep } from "../../api/routes.ts";
import { usePrivate } from "../../api/usePrivate.ts";
import { Button } from "../../ui/Button.tsx";
import { Card } from "../../ui/Card.tsx";
import { Empty } from "../../ui/Empty.tsx";
import { past } from "../../ui/time.ts";
import { useNow } from "../../ui/useNow.ts";
import { LineagePicture } from "./LineagePicture.tsx";
import { LineageTable } from "./LineageTable.tsx";
import { type Life, timeOf, wholeOf } from "./lineage-picture.ts";
import { between, closer, holds, isClosest, isWhole, moved, type View, wider } from "./view.ts";

export interface LineageProps {
  readonly steps: readonly LineageStep[];
  readonly endedAt: string | null;
}

/** A session's life, as a picture and as the same in a table: all of it, or the part one looks at. */
export function Lineage({ steps, endedAt }: LineageProps): ReactElement {
  const [chosen, setChosen] = useState<View | null>(null);
  const now = useNow();
  const accessLife = useQuery(usePrivate(accessTokenLife)).data ?? null;
  const life: Life = { lineage: steps, endedAt, accessLife };
  const whole = wholeOf(life, now);
  const view = chosen ?? whole;
  const seen = steps.filter((step) => holds(view, timeOf(step)));
  const see = (next: View): void => setChosen(isWhole(next, whole) ? null : next);
  return (
    <section>
      <div className="mb-2 flex items-center sm:gap-1">
        <h2 className="mr-auto text-sm font-medium text-ink-2">What happened</h2>
        {steps.length > 0 ? (
          <Controls view={view} whole={whole} times={steps.map(timeOf)} see={see} />
        ) : null}
      </div>
      <Card>
        {steps.length > 0 ? (
          <>
            <LineagePicture
              life={life}
              view={view}
              whole={whole}
              now={now}
              onDrag={(from, to) => see(between(view, from, to, whole))}
            />
            <p role="status" className="px-6 pb-3 text-xs text-ink-2">
              {chosen
                ? `${seen.length} of ${steps.length} steps, from ${past(new Date(view.from), now)} until ${past(new Date(view.to), now)}.`
                : "Above the line: how long its access tokens were good for. Drag across to look closer."}
            </p>
            <div className="border-t border-line">
              <LineageTable steps={seen} life={life} isPart={chosen !== null} />
            </div>
          </>
        ) : (
          <Empty>Its steps will appear here as it is used.</Empty>
        )}
      </Card>
    </section>
  );
}

/** For who has no mouse to drag, the same by buttons. */
function Controls(props: {
  readonly view: View;
  readonly whole: View;
  /** When something happened. */
  readonly times: readonly number[];
  readonly see: (view: View) => void;
}): ReactElement {
  const { view, whole, times, see } = props;
  const isAll = isWhole(view, whole);
  const buttons = [
    { label: "Show all", Icon: Maximize2, to: whole, off: isAll },
    {
      label: "Earlier",
      Icon: ChevronLeft,
      to: moved(view, whole, -1),
      off: view.from <= whole.from,
    },
    { label: "Later", Icon: ChevronRight, to: moved(view, whole, 1), off: view.to >= whole.to },
    { label: "Zoom out", Icon: ZoomOut, to: wider(view, whole), off: isAll },
    { label: "Zoom in", Icon: ZoomIn, to: closer(view, whole, times), off: isClosest(view) },
  ] as const;
  return (
    <>
      {buttons.map(({ label, Icon, to, off }) => (
        <Button
          key={label}
          look="quiet"
          aria-label={label}
          title={label}
          disabled={off}
          onClick={() => see(to)}
        >
          <Icon aria-hidden size={16} />
        </Button>
      ))}
    </>
  );
}
