import { CircleCheck, Info, ShieldAlert, TriangleAlert } from "lucide-react";
import { type ReactElement, type ReactNode, useEffect, useRef } from "react";
import { Empty } from "../../ui/Empty.tsx";
import { Answer, LaneHeadings, Lanes, Request } from "./Lanes.tsx";
import type { Decision, Row, Tone, Who } from "./timeline.ts";

const TONES: Readonly<Record<Tone, { text: string; Icon: typeof Info }>> = {
  plain: { text: "text-ink-2", Icon: Info },
  ok: { text: "text-ok", Icon: CircleCheck },
  warn: { text: "text-warn", Icon: TriangleAlert },
  danger: { text: "text-danger", Icon: ShieldAlert },
};

/** What everybody does, in a lane each, from above to below; the newest last. */
export function TimelineList({ rows }: { readonly rows: readonly Row[] }): ReactElement {
  const end = useRef<HTMLDivElement>(null);
  const { length } = rows;

  useEffect(() => {
    if (length > 0) end.current?.scrollIntoView({ block: "nearest" });
  }, [length]);

  return (
    <>
      <div className="sticky top-12 z-10 rounded-t-card border-b border-line bg-surface px-6 py-2">
        <LaneHeadings />
      </div>
      {length === 0 ? (
        <Empty>Every request and every decision will appear here. Begin with the first step.</Empty>
      ) : (
        <div role="log" aria-label="Timeline">
          <ol className="pb-2">
            {rows.map((row) =>
              row.type === "step" ? (
                <li
                  key={row.id}
                  className="border-line bg-sunken px-6 py-2 text-sm font-medium not-first:border-t"
                >
                  {row.said}
                </li>
              ) : (
                <Exchange key={row.id} row={row} />
              ),
            )}
          </ol>
        </div>
      )}
      <div ref={end} className="scroll-mb-24" />
    </>
  );
}

function Exchange({ row }: { readonly row: Extract<Row, { type: "exchange" }> }): ReactElement {
  const { who, said, count, tone, decision, lost } = row;
  const paper = tone === "danger" ? "bg-danger-soft" : "bg-surface";
  return (
    <li className={`animate-appear px-6 ${paper}`}>
      <div className="relative py-2">
        <Lanes tone={tone} {...(decision ? {} : { alone: who })} />
        <p className={`relative ${BESIDE[who]} ${decision ? "" : TONES[tone].text}`}>
          <Words paper={paper}>
            <span className="sr-only">{who}: </span>
            {said}
            {count > 1 ? <span className="font-medium"> × {count}</span> : null}
          </Words>
        </p>
        {decision ? (
          <>
            <Request who={who} />
            <Verdict decision={decision} paper={paper} />
            <Answer who={who} tone={tone} lost={lost} />
          </>
        ) : null}
      </div>
    </li>
  );
}

/** Words begin beside the lane of who says them; a thief's end at the server, where there is room. */
const BESIDE: Readonly<Record<Who, string>> = {
  "this tab": "pl-2",
  "another tab": "ml-auto w-2/3 pl-2",
  "the thief": "pr-2 text-right",
};

function Verdict(props: { readonly decision: Decision; readonly paper: string }): ReactElement {
  const { verdict, why, rule, tone } = props.decision;
  const { text, Icon } = TONES[tone];
  return (
    <p className="relative pr-2 text-right text-sm text-ink-2">
      <Words paper={props.paper}>
        <Icon aria-hidden size={14} className={`mr-1 inline align-text-bottom ${text}`} />
        <span className="sr-only">The server: </span>
        <span className={`font-mono ${text}`}>{verdict}</span>
        {rule ? <span title={`Row ${rule.row}. ${rule.says}`}> · rule {rule.row}</span> : null}
        {" · "}
        {why}
      </Words>
    </p>
  );
}

/** Text that lanes run behind, not through. */
function Words(props: { readonly paper: string; readonly children: ReactNode }): ReactElement {
  return <span className={`box-decoration-clone px-1 ${props.paper}`}>{props.children}</span>;
}
