import { type PointerEvent, type ReactElement, type ReactNode, useId, useState } from "react";
import type { LineageStep } from "../../api/routes.ts";
import { ago, exactly, past, stretch } from "../../ui/time.ts";
import { lineageStep } from "./lineage.ts";
import {
  type Bar,
  inWords,
  type Label,
  type Life,
  layOut,
  type Mark,
  type Replay,
  renewed,
} from "./lineage-picture.ts";
import type { View } from "./view.ts";

export interface LineagePictureProps {
  readonly life: Life;
  readonly view: View;
  readonly whole: View;
  readonly now: Date;
  /** Somebody drags from one place to another, in per cent. */
  readonly onDrag: (from: number, to: number) => void;
}

/** What lies under what, in px. Across it is per cent: the picture is as wide as its card. */
const ROW = 22;
const BARS_ABOVE_LINE = 22;
const BAR = 6;
const ABOVE_LINE = 34;
const REPLAY_BELOW_LINE = 26;
const WORDS_BELOW_REPLAY = 20;
const TIMES_BELOW = 32;
const LINE_OF_TEXT = 18;

/** A session's life as a line from its login to now; LineageTable says the same in words. */
export function LineagePicture(props: LineagePictureProps): ReactElement {
  const { life, view, whole, now } = props;
  const picture = layOut(life, view, whole);
  const { marks, labels, bars, replay, renewals, forgottenTo, begins, ends } = picture;
  const isOver = life.endedAt !== null;
  const all = layOut(life, whole, whole); // as high for each part: nothing below it moves
  const y = ABOVE_LINE + all.labels.length * ROW;
  const times = y + TIMES_BELOW + (all.replay ? REPLAY_BELOW_LINE + WORDS_BELOW_REPLAY - 8 : 0);
  const height = times + LINE_OF_TEXT + 4;
  const { dragged, hands } = useDrag(props.onDrag);
  const [from, to] = [new Date(view.from), new Date(view.to)];
  return (
    <div className="px-6 pt-3 pb-2">
      <svg
        {...hands}
        role="img"
        aria-label={inWords(picture, isOver, begins && ends ? null : stretch(from, to, now))}
        width="100%"
        height={height}
        className="block cursor-crosshair touch-pan-y overflow-visible text-xs tabular-nums select-none"
      >
        <rect width="100%" height={height} className="fill-transparent" />
        {dragged ? (
          <rect
            x={`${dragged.from}%`}
            width={`${dragged.to - dragged.from}%`}
            height={y + TIMES_BELOW / 2}
            className="fill-accent-soft"
          />
        ) : null}
        <Access bars={bars} y={y - BARS_ABOVE_LINE} />
        {labels.map((label) => (
          <Leader key={label.kind} label={label} y={y} />
        ))}
        {replay ? <ReplayLine replay={replay} y={y} /> : null}
        <Line y={y} forgottenTo={forgottenTo} isOver={isOver} ends={ends} />
        {inOrderOfWeight(marks).map((mark) => (
          <Sign key={`${mark.kind} ${mark.at} ${mark.steps[0]?.generation}`} mark={mark} y={y} />
        ))}
        {labels.map((label) => (
          <Words key={label.kind} label={label} y={y} />
        ))}
        {renewals > 0 ? (
          <text x="50%" y={times} textAnchor="middle" className="fill-ink-2">
            {renewed(renewals)}
          </text>
        ) : null}
        <Moment
          x="0%"
          y={times}
          anchor="start"
          what={begins ? "Logged in" : "From"}
          when={begins ? ago(from, now) : past(from, now)}
        />
        <Moment
          x="100%"
          y={times}
          anchor="end"
          what={ends ? (isOver ? "Ended" : "Now") : "Until"}
          when={ends ? (isOver ? ago(to, now) : "signed in") : past(to, now)}
        />
      </svg>
    </div>
  );
}

interface Dragged {
  readonly from: number;
  readonly to: number;
}

const LEAST = 2; // per cent: less is a press, no drag

/** What the mouse or the finger is dragged over; `onDrag` once it is let go. */
function useDrag(onDrag: LineagePictureProps["onDrag"]) {
  const [drag, setDrag] = useState<{ readonly start: number; readonly at: number } | null>(null);
  const place = (event: PointerEvent<SVGElement>): number => {
    const { left, width } = event.currentTarget.getBoundingClientRect();
    return Math.min(100, Math.max(0, ((event.clientX - left) / width) * 100));
  };
  const dragged: Dragged | null = drag && {
    from: Math.min(drag.start, drag.at),
    to: Math.max(drag.start, drag.at),
  };
  const hands = {
    onPointerDown(event: PointerEvent<SVGElement>) {
      if (event.button !== 0) return;
      event.currentTarget.setPointerCapture(event.pointerId);
      setDrag({ start: place(event), at: place(event) });
    },
    onPointerMove(event: PointerEvent<SVGElement>) {
      if (drag) setDrag({ ...drag, at: place(event) });
    },
    onPointerUp() {
      if (dragged && dragged.to - dragged.from >= LEAST) onDrag(dragged.from, dragged.to);
      setDrag(null);
    },
    onPointerCancel: () => setDrag(null), // the finger scrolls the page
  };
  return { dragged, hands };
}

/** How long access tokens could be used: fading where nobody knows whether one still was. */
function Access({ bars, y }: { readonly bars: readonly Bar[]; readonly y: number }): ReactElement {
  const fading = useId();
  const shape = { y, height: BAR, fillOpacity: 0.45 };
  return (
    <g className="text-accent" fill="currentColor">
      <linearGradient id={fading}>
        <stop offset="0" stopColor="currentColor" />
        <stop offset="1" stopColor="currentColor" stopOpacity={0.1} />
      </linearGradient>
      {bars.map(({ from, fades, to }) => (
        <g key={from}>
          {fades > from ? <rect {...shape} x={`${from}%`} width={`${fades - from}%`} /> : null}
          {to > fades ? (
            <rect {...shape} x={`${fades}%`} width={`${to - fades}%`} fill={`url(#${fading})`} />
          ) : null}
        </g>
      ))}
    </g>
  );
}

const timeOf = ({ at }: LineageStep): Date => new Date(at);

/** What matters is drawn last, over what is ordinary. */
const WEIGHTS = ["ended", "rotated", "created", "recovered", "elsewhere", "forked", "reused"];
const inOrderOfWeight = (marks: readonly Mark[]): readonly Mark[] =>
  marks.toSorted((a, b) => WEIGHTS.indexOf(a.kind) - WEIGHTS.indexOf(b.kind));

/** Where shapes are drawn in px around a place that is given in per cent. */
function At(props: {
  readonly x: number;
  readonly y: number;
  readonly children: ReactNode;
}): ReactElement {
  return (
    // biome-ignore lint/a11y/noSvgWithoutTitle: a part of the picture, which has its words
    <svg x={`${props.x}%`} y={props.y} className="overflow-visible">
      {props.children}
    </svg>
  );
}

/** The line itself: dashed where nothing is kept, and running on while it lives. */
function Line(props: {
  readonly y: number;
  readonly forgottenTo: number;
  readonly isOver: boolean;
  readonly ends: boolean;
}): ReactElement {
  const { y, forgottenTo, isOver, ends } = props;
  return (
    <g className="fill-transparent stroke-accent" strokeWidth={2} strokeLinecap="round">
      <line x1="0%" x2={`${forgottenTo}%`} y1={y} y2={y} strokeDasharray="1 5" />
      <line x1={`${forgottenTo}%`} x2="100%" y1={y} y2={y} />
      {ends ? (
        <At x={100} y={y}>
          {isOver ? (
            <path d="M0 -7V7" className="stroke-ink-2" />
          ) : (
            <path d="M2 0H18M13 -5L18 0L13 5" strokeLinejoin="round" />
          )}
        </At>
      ) : null}
    </g>
  );
}

/** A dot for each renewal, a bar where many run together, and a shape of its own for what matters. */
function Sign({ mark, y }: { readonly mark: Mark; readonly y: number }): ReactElement {
  const x = `${mark.at}%`;
  const title = <title>{said(mark)}</title>;
  switch (mark.kind) {
    case "created":
      return (
        <circle cx={x} cy={y} r={6} className="fill-surface stroke-accent" strokeWidth={2}>
          {title}
        </circle>
      );
    case "rotated":
      return mark.steps.length > 1 ? (
        <line
          x1={x}
          x2={`${mark.to}%`}
          y1={y}
          y2={y}
          strokeWidth={8}
          strokeLinecap="round"
          className="stroke-accent"
        >
          {title}
        </line>
      ) : (
        <circle cx={x} cy={y} r={4} className="fill-accent">
          {title}
        </circle>
      );
    case "recovered": // the answer that never arrived is the short branch that leads nowhere
      return (
        <At x={mark.at} y={y}>
          <path
            d="M-18 0L-11 -10H-5M-5 -13V-7"
            className="fill-transparent stroke-ok"
            strokeWidth={1.5}
            strokeLinecap="round"
          />
          <circle r={5} className="fill-ok stroke-surface" strokeWidth={1.5}>
            {title}
          </circle>
        </At>
      );
    case "elsewhere":
      return (
        <circle cx={x} cy={y} r={6} className="fill-surface stroke-warn" strokeWidth={2}>
          {title}
        </circle>
      );
    case "reused":
      return (
        <At x={mark.at} y={y}>
          <circle r={10} className="fill-danger stroke-surface" strokeWidth={2}>
            {title}
          </circle>
          <path
            d="M-3.5 -3.5L3.5 3.5M-3.5 3.5L3.5 -3.5"
            className="pointer-events-none stroke-danger-ink"
            strokeWidth={2}
            strokeLinecap="round"
          />
        </At>
      );
    case "ended":
      return <g />; // the line's own end
    default:
      return (
        <circle cx={x} cy={y} r={5} className="fill-ink-2">
          {title}
        </circle>
      );
  }
}

function said({ kind, steps }: Mark): string {
  const [first] = steps;
  if (!first) return "";
  const when = exactly(timeOf(first));
  if (steps.length > 1) return `${renewed(steps.length)} from ${when} on`;
  return `${lineageStep(kind)}, generation ${first.generation}: ${when}`;
}

/** A copy of an old token, kept aside and used at last: it ends the line. */
function ReplayLine({ replay, y }: { readonly replay: Replay; readonly y: number }): ReactElement {
  const below = y + REPLAY_BELOW_LINE;
  const [from, to] = [`${replay.from}%`, `${replay.to}%`];
  return (
    <>
      <g className="stroke-danger" strokeWidth={1.5} strokeDasharray="4 4">
        <line x1={from} x2={from} y1={y} y2={below} />
        <line x1={from} x2={to} y1={below} y2={below} />
        <line x1={to} x2={to} y1={below} y2={y} />
      </g>
      <text x={to} y={below + LINE_OF_TEXT} textAnchor="end" className="fill-danger font-medium">
        {replay.text}
      </text>
    </>
  );
}

const heightOf = ({ row }: Label, y: number): number => y - ABOVE_LINE - row * ROW;

function Leader({ label, y }: { readonly label: Label; readonly y: number }): ReactElement {
  const x = `${label.at}%`;
  return <line x1={x} x2={x} y1={heightOf(label, y)} y2={y} className="stroke-line-strong" />;
}

function Words({ label, y }: { readonly label: Label; readonly y: number }): ReactElement {
  return (
    <text
      x={`${label.at}%`}
      y={heightOf(label, y)}
      dx={label.runs === "right" ? -4 : 4}
      textAnchor={label.runs === "right" ? "start" : "end"}
      paintOrder="stroke"
      strokeWidth={6}
      strokeLinejoin="round"
      className="fill-ink stroke-surface font-medium" // a rim, so that no line runs through it
    >
      {label.text}
    </text>
  );
}

function Moment(props: {
  readonly x: string;
  readonly y: number;
  readonly anchor: "start" | "end";
  readonly what: string;
  readonly when: string;
}): ReactElement {
  const { x, y, anchor, what, when } = props;
  return (
    <g textAnchor={anchor}>
      <text x={x} y={y} className="fill-ink font-medium">
        {what}
      </text>
      <text x={x} y={y + LINE_OF_TEXT} className="fill-ink-2">
        {when}
      </text>
    </g>
  );
}
