import type { ReactElement } from "react";
import { LANES, type Tone, type Who } from "./timeline.ts";

const HEADINGS = ["This tab", "Another tab", "Thief", "Server"];
const SERVER = LANES.length - 1;

/** Where a lane runs, across the picture. */
const at = (lane: number): string => `${(lane / SERVER) * 100}%`;
const laneOf = (who: Who): number => LANES.indexOf(who);

const STROKES: Readonly<Record<Tone, string>> = {
  plain: "stroke-ink-3",
  ok: "stroke-ok",
  warn: "stroke-warn",
  danger: "stroke-danger",
};
const FILLS: Readonly<Record<Tone, string>> = {
  plain: "fill-ink-3",
  ok: "fill-ok",
  warn: "fill-warn",
  danger: "fill-danger",
};

/** The lanes' names; each stands over its line. */
export function LaneHeadings(): ReactElement {
  return (
    <svg
      aria-hidden
      width="100%"
      height={LINE_OF_TEXT}
      className="block overflow-visible text-xs font-medium"
    >
      {HEADINGS.map((name, lane) => (
        <text
          key={name}
          x={at(lane)}
          y={BASELINE}
          dx={lane === 0 ? -DOT : lane === SERVER ? DOT : 0}
          textAnchor={lane === 0 ? "start" : lane === SERVER ? "end" : "middle"}
          className="fill-ink-2"
        >
          {name}
        </text>
      ))}
    </svg>
  );
}

const LINE_OF_TEXT = 16; // px, as all below
const BASELINE = 12;
const DOT = 5;

/** The lines themselves, behind a row as high as it may be; a dot where somebody decides alone. */
export function Lanes({
  alone,
  tone,
}: {
  readonly alone?: Who;
  readonly tone: Tone;
}): ReactElement {
  return (
    <svg aria-hidden className="absolute inset-0 size-full overflow-visible">
      {LANES.map((name, lane) => (
        <line
          key={name}
          x1={at(lane)}
          x2={at(lane)}
          y1="0%"
          y2="100%"
          className="stroke-line"
          strokeWidth={lane === SERVER ? 2 : 1}
        />
      ))}
      {alone ? <circle cx={at(laneOf(alone))} cy="50%" r={DOT} className={FILLS[tone]} /> : null}
    </svg>
  );
}

const HEIGHT = 10;
const HALF = HEIGHT / 2;

/** What is asked, from who asks to the server. */
export function Request({ who }: { readonly who: Who }): ReactElement {
  const from = at(laneOf(who));
  return (
    <svg aria-hidden width="100%" height={HEIGHT} className="relative block overflow-visible">
      <circle cx={from} cy={HALF} r={DOT - 1} className="fill-ink-2" />
      <line x1={from} x2="100%" y1={HALF} y2={HALF} className="stroke-ink-2" strokeWidth={1.5} />
      {/* biome-ignore lint/a11y/noSvgWithoutTitle: a part of the arrow */}
      <svg x="100%" y={HALF} className="overflow-visible">
        <path
          d="M-7 -4L-1 0L-7 4"
          className="fill-transparent stroke-ink-2"
          strokeWidth={1.5}
          strokeLinecap="round"
          strokeLinejoin="round"
        />
      </svg>
    </svg>
  );
}

/** What is answered, back to who asked; or half of the way, where it gets lost. */
export function Answer(props: {
  readonly who: Who;
  readonly tone: Tone;
  readonly lost: boolean;
}): ReactElement {
  const { who, tone, lost } = props;
  const lane = laneOf(who);
  const to = at(lost ? (lane + SERVER) / 2 : lane);
  return (
    <svg aria-hidden width="100%" height={HEIGHT} className="relative block overflow-visible">
      <g
        className={`fill-transparent ${STROKES[tone]}`}
        strokeWidth={1.5}
        strokeLinecap="round"
        strokeLinejoin="round"
      >
        <line x1={to} x2="100%" y1={HALF} y2={HALF} strokeDasharray="4 4" />
        {/* biome-ignore lint/a11y/noSvgWithoutTitle: a part of the arrow */}
        <svg x={to} y={HALF} className="overflow-visible">
          <path d={lost ? "M-4 -4L4 4M-4 4L4 -4" : "M7 -4L1 0L7 4"} />
        </svg>
      </g>
    </svg>
  );
}
