/** Where each step of a session stands in its picture. Pure: places in per cent of the width. */
import type { LineageStep } from "../../api/routes.ts";
import { count } from "../../ui/time.ts";

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

export interface Picture {
  readonly marks: readonly Mark[];
  readonly labels: readonly Label[];
  readonly replay: Replay | null;
  /** How often it was renewed, those included of which nothing is kept any more. */
  readonly renewals: number;
  /** Up to here single renewals are no longer kept. */
  readonly forgottenTo: number;
}

const TOO_CLOSE = 3; // per cent: 8 px on a phone, the width of a dot
const HALF = 50;
const LONGEST_DEVICE = 24; // characters: what fits beside the words on a phone

/** Lays a session out between its login (0) and its end, or the present (100). */
export function layOut(lineage: readonly LineageStep[], end: Date): Picture {
  const steps = lineage.toSorted((a, b) => timeOf(a) - timeOf(b));
  const place = placeBetween(steps, end);
  const kept = steps.find(({ kind }) => kind === "rotated");
  return {
    marks: marksOf(steps, place),
    labels: labelsOf(steps, place),
    replay: replayOf(steps, place),
    renewals: Math.max(0, ...steps.map(({ generation }) => generation)),
    forgottenTo: kept && kept.generation > 1 ? place(kept) : 0,
  };
}

type Place = (step: LineageStep) => number;

const timeOf = ({ at }: LineageStep): number => Date.parse(at);

function placeBetween(steps: readonly LineageStep[], end: Date): Place {
  const times = steps.map(timeOf);
  const from = Math.min(...times);
  const span = Math.max(end.getTime(), ...times) - from; // the server's clock may be ahead of ours
  return (step) => (span > 0 ? ((timeOf(step) - from) / span) * 100 : 0);
}

function marksOf(steps: readonly LineageStep[], place: Place): readonly Mark[] {
  const marks: Mark[] = [];
  let run: Mark | undefined;
  for (const step of steps) {
    const at = place(step);
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
    return last ? [{ kind, text: say(found.length), at: place(last) }] : [];
  });
  // Words run away from the nearer edge; the nearer to it, the higher: no leader crosses them.
  return labels
    .toSorted((a, b) => Math.abs(a.at - HALF) - Math.abs(b.at - HALF))
    .map((label, row) => ({ ...label, row, runs: label.at < HALF ? "right" : "left" }));
}

function replayOf(steps: readonly LineageStep[], place: Place): Replay | null {
  const reused = steps.find(({ kind }) => kind === "reused");
  if (!reused) return null;
  const copied = steps.findLast(
    ({ kind, generation }) =>
      (kind === "created" || kind === "rotated" || kind === "recovered") &&
      generation <= reused.generation,
  );
  const device = reused.device && reused.device.length <= LONGEST_DEVICE ? reused.device : null;
  return {
    from: copied ? place(copied) : 0,
    to: place(reused),
    text: ["Old copy used", device].filter(Boolean).join(" · "),
  };
}

/** The same in a sentence, for who does not see it. */
export function inWords({ renewals, labels, replay }: Picture, isOver: boolean): string {
  const said = [
    "Logged in",
    ...(renewals > 0 ? [renewed(renewals).toLowerCase()] : []),
    ...labels.map(({ text }) => text.toLowerCase()),
    ...(replay ? [replay.text.replace("Old", "old")] : []),
    isOver ? "ended" : "still signed in",
  ];
  return `${said.join(", ")}. The table below has every step.`;
}

export const renewed = (times: number): string => `Renewed ${count(times, "time")}`;
