import { CircleCheck, Info, ShieldAlert, TriangleAlert } from "lucide-react";
import { type ReactElement, useEffect, useRef } from "react";
import { Empty } from "../../ui/Empty.tsx";
import type { Row, Tone } from "./timeline.ts";

const TONES: Readonly<Record<Tone, { text: string; box: string; Icon: typeof Info }>> = {
  plain: { text: "text-ink-2", box: "", Icon: Info },
  ok: { text: "text-ok", box: "", Icon: CircleCheck },
  warn: { text: "text-warn", box: "", Icon: TriangleAlert },
  danger: { text: "text-danger", box: "bg-danger-soft", Icon: ShieldAlert },
};

/** Who did what at the left, what the server decided at the right; the newest last. */
export function TimelineList({ rows }: { readonly rows: readonly Row[] }): ReactElement {
  const end = useRef<HTMLDivElement>(null);
  const { length } = rows;

  useEffect(() => {
    if (length > 0) end.current?.scrollIntoView({ block: "nearest" });
  }, [length]);

  if (length === 0) {
    return (
      <Empty>Every request and every decision will appear here. Begin with the first step.</Empty>
    );
  }
  return (
    <>
      <ol role="log" aria-label="Timeline" className="divide-y divide-line">
        {rows.map((row) =>
          row.type === "step" ? (
            <li key={row.id} className="bg-sunken px-4 py-2 text-sm font-medium">
              {row.said}
            </li>
          ) : (
            <Exchange key={row.id} row={row} />
          ),
        )}
      </ol>
      <div ref={end} className="scroll-mb-24" />
    </>
  );
}

function Exchange({ row }: { readonly row: Extract<Row, { type: "exchange" }> }): ReactElement {
  const { text, box, Icon } = TONES[row.tone];
  return (
    <li className={`grid animate-appear gap-x-6 gap-y-1 px-4 py-2 sm:grid-cols-2 ${box}`}>
      <div>
        <p className="text-xs text-ink-3 first-letter:uppercase">{row.who}</p>
        <p className={row.decision ? "" : text}>
          {row.said}
          {row.count > 1 ? <span className="font-medium"> × {row.count}</span> : null}
        </p>
      </div>
      {row.decision ? (
        <div className="flex gap-2 max-sm:pl-4">
          <Icon aria-hidden size={16} className={`mt-0.5 shrink-0 ${text}`} />
          <div className="min-w-0">
            <p className={`font-mono text-sm ${text}`}>
              <span className="sr-only">The server: </span>
              {row.decision.verdict}
            </p>
            <p className="text-sm text-ink-2">{row.decision.why}</p>
          </div>
        </div>
      ) : null}
    </li>
  );
}
