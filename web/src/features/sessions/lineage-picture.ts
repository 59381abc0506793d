/** Where each step of a session stands in its picture. Pure: places in per cent of the width. */
import type { LineageStep } from "../../api/routes.ts";
import { count } from "../../ui/time.ts";
import { holds, type View } from "./view.ts";

/** What stands on the line. Renewals too close to be told apart are one mark, from `at` to `to`. */
export interface Mark {
  readonly kind: string;
  readonly at: number;
  readonly to: number;
  readonly steps: readonly LineageStep[];
}

/** Words above the line, at the last mark of a kind. */
export interface Label {
  readonly kind: string;
  readonly text: string;
  readonly at: number;
  /** The side of `at` where there is room for them. */
  readonly runs: "right" | "left";
  /** 0 is the row nearest to the line; no two labels share one. */
  readonly row: number;
}

/** Somebody kept a copy of `from`'s token and used it at `to`. */
export interface Replay {
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

/** What access tokens could do: all of it until `fades`, and nothing any more at `to`. */
export interface Bar {
  readonly from: number;
  readonly fades: number;
  readonly to: number;
}

export interface Picture {
  readonly marks: readonly Mark[];
  readonly labels: readonly Label[];
  readonly bars: readonly Bar[];
  readonly replay: Replay | null;
  /** How often it was renewed, those included of which nothing is kept any more. */
  readonly renewals: number;
  /** Up to here single renewals are no longer kept. */
  readonly forgottenTo: number;
  /** Whether the login, and whether the end or the present, can be seen. */
  readonly begins: boolean;
  readonly ends: boolean;
}

export interface Life {
  readonly lineage: readonly LineageStep[];
  /** Null: it lives. */
  readonly endedAt: string | null;
  /** How long an access token lives, in ms; null: nobody knows. */
  readonly accessLife: number | null;
}

const TOO_CLOSE = 3; // per cent: 8 px on a phone, the width of a dot
const HALF = 50;
const LONGEST_DEVICE = 24; // characters: what fits beside the words on a phone

/** From the login to the end, or to the present. */
export function wholeOf({ lineage, endedAt }: Life, now: Date): View {
  const times = lineage.map(timeOf);
  const end = endedAt === null ? now.getTime() : Date.parse(endedAt);
  return { from: Math.min(...times), to: Math.max(end, ...times) }; // the server's clock may be ahead of ours
}

/** Lays out what can be seen of a session: `view` reaches from 0 to 100. */
export function layOut(life: Life, view: View, whole: View): Picture {
  const steps = life.lineage.toSorted((a, b) => timeOf(a) - timeOf(b));
  const seen = steps.filter((step) => holds(view, timeOf(step)));
  const place = placeIn(view);
  const kept = steps.find(({ kind }) => kind === "rotated");
  const forgotten = kept && kept.generation > 1 ? kept : null;
  const begins = view.from <= whole.from;
  const before = begins ? 0 : newest(steps.filter((step) => timeOf(step) < view.from));
  // What is forgotten happened somewhere before, not in this part of it.
  const uncounted = begins || !forgotten ? 0 : forgotten.generation - 1;
  return {
    marks: marksOf(seen, place),
    labels: labelsOf(seen, place),
    bars: barsOf(steps, life, place),
    replay: replayOf(steps, view, place),
    renewals: Math.max(0, newest(seen) - Math.max(before, uncounted)),
    forgottenTo: forgotten ? place(timeOf(forgotten)) : 0,
    begins,
    ends: view.to >= whole.to,
  };
}

/** Where a time stands, in per cent; what lies outside stands at the edge. */
type Place = (time: number) => number;

export const timeOf = ({ at }: LineageStep): number => Date.parse(at);

function placeIn({ from, to }: View): Place {
  const span = to - from;
  return (time) => (span > 0 ? Math.min(100, Math.max(0, ((time - from) / span) * 100)) : 0);
}

const newest = (steps: readonly LineageStep[]): number =>
  Math.max(0, ...steps.map(({ generation }) => generation));

const GIVE_ACCESS = ["created", "rotated", "recovered", "elsewhere"];

/** Until when the access token of a step was good; null: it came without one, or nobody knows. */
export function accessUntil(step: LineageStep, { endedAt, accessLife }: Life): number | null {
  if (accessLife === null || !GIVE_ACCESS.includes(step.kind)) return null;
  return Math.min(timeOf(step) + accessLife, endedAt ? Date.parse(endedAt) : Infinity);
}

/** Lives that overlap are one bar. It fades where nobody can tell whether the last was still used. */
function barsOf(steps: readonly LineageStep[], life: Life, place: Place): readonly Bar[] {
  const bars: { from: number; fades: number; to: number }[] = [];
  for (const step of steps) {
    const until = accessUntil(step, life);
    if (until === null) continue;
    const at = timeOf(step);
    const last = bars.at(-1);
    if (last && at <= last.to) Object.assign(last, { fades: at, to: until });
    else bars.push({ from: at, fades: at, to: until });
  }
  const end = life.endedAt ? Date.parse(life.endedAt) : null;
  return bars
    .map(({ from, fades, to }) => ({
      from: place(from),
      fades: place(to === end ? to : fades), // the end of a session ends its access, for sure
      to: place(to),
    }))
    .filter(({ from, to }) => from < to);
}

function marksOf(steps: readonly LineageStep[], place: Place): readonly Mark[] {
  const marks: Mark[] = [];
  let run: Mark | undefined;
  for (const step of steps) {
    const at = place(timeOf(step));
    if (step.kind === "rotated" && run && at - run.to < TOO_CLOSE) {
      const grown = { ...run, to: at, steps: [...run.steps, step] };
      marks[marks.indexOf(run)] = grown;
      run = grown;
    } else {
      const mark = { kind: step.kind, at, to: at, steps: [step] };
      marks.push(mark);
      if (step.kind === "rotated") run = mark;
    }
  }
  return marks;
}

/** Short enough for half of a phone's width. */
const SAID: Readonly<Record<string, (times: number) => string>> = {
  recovered: (n) => (n > 1 ? `${n} lost answers recovered` : "Lost answer recovered"),
  elsewhere: (n) => (n > 1 ? `${n} answers elsewhere` : "Answered elsewhere"),
  forked: () => "Restored from a backup",
};

function labelsOf(steps: readonly LineageStep[], place: Place): readonly Label[] {
  const labels = Object.entries(SAID).flatMap(([kind, say]) => {
    const found = steps.filter((step) => step.kind === kind);
    const last = found.at(-1);
    return last ? [{ kind, text: say(found.length), at: place(timeOf(last)) }] : [];
  });
  // Words run away from the nearer edge; the nearer to it, the higher: no leader crosses them.
  return labels
    .toSorted((a, b) => Math.abs(a.at - HALF) - Math.abs(b.at - HALF))
    .map((label, row) => ({ ...label, row, runs: label.at < HALF ? "right" : "left" }));
}

function replayOf(steps: readonly LineageStep[], view: View, place: Place): Replay | null {
  const reused = steps.find(({ kind }) => kind === "reused");
  if (!reused || !holds(view, timeOf(reused))) return null;
  const copied = steps.findLast(
    ({ kind, generation }) =>
      (kind === "created" || kind === "rotated" || kind === "recovered") &&
      generation <= reused.generation,
  );
  const device = reused.device && reused.device.length <= LONGEST_DEVICE ? reused.device : null;
  return {
    from: copied ? place(timeOf(copied)) : 0,
    to: place(timeOf(reused)),
    text: ["Old copy used", device].filter(Boolean).join(" · "),
  };
}

/** The same in a sentence, for who does not see it; `stretch` says which part of it is seen. */
export function inWords(picture: Picture, isOver: boolean, stretch: string | null): string {
  const { renewals, labels, replay, begins, ends } = picture;
  const said = [
    ...(begins ? ["logged in"] : []),
    ...(renewals > 0 ? [renewed(renewals).toLowerCase()] : []),
    ...labels.map(({ text }) => text.toLowerCase()),
    ...(replay ? [replay.text.replace("Old", "old")] : []),
    ...(ends ? [isOver ? "ended" : "still signed in"] : []),
  ];
  const all = said.join(", ") || "nothing happened";
  const sentence = stretch ? `${stretch}: ${all}` : all;
  return `${sentence.charAt(0).toUpperCase()}${sentence.slice(1)}. The table below has every step.`;
}

export const renewed = (times: number): string => `Renewed ${count(times, "time")}`;
