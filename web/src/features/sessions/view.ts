/** The stretch of a session's life that its picture and its table show. Pure; times in ms. */

export interface View {
  readonly from: number;
  readonly to: number;
}

const SHORTEST = 60_000; // a minute: below it there is nothing more to tell apart

const length = ({ from, to }: View): number => to - from;

export const holds = ({ from, to }: View, at: number): boolean => from <= at && at <= to;

/** Half as long, about the one of these times that is nearest to its middle: nobody looks at nothing. */
export function closer(view: View, whole: View, times: readonly number[]): View {
  const middle = middleOf(view);
  const away = (time: number): number => Math.abs(time - middle);
  const [nearest = middle] = times
    .filter((time) => holds(view, time))
    .sort((a, b) => away(a) - away(b));
  return about(nearest, length(view) / 2, whole);
}

/** Twice as long, about the same middle. */
export const wider = (view: View, whole: View): View =>
  about(middleOf(view), length(view) * 2, whole);

/** Half of its length earlier (-1) or later (1). */
export function moved(view: View, whole: View, by: -1 | 1): View {
  const way = (by * length(view)) / 2;
  return within({ from: view.from + way, to: view.to + way }, whole);
}

/** What lies between two places in it, given in per cent in either order. */
export function between(view: View, one: number, other: number, whole: View): View {
  const at = (place: number): number => view.from + (place / 100) * length(view);
  const chosen = { from: at(Math.min(one, other)), to: at(Math.max(one, other)) };
  return about(middleOf(chosen), length(chosen), whole);
}

const middleOf = ({ from, to }: View): number => (from + to) / 2;

function about(middle: number, wanted: number, whole: View): View {
  const half = Math.max(wanted, Math.min(SHORTEST, length(whole))) / 2;
  return within({ from: middle - half, to: middle + half }, whole);
}

/** Moved, and where that does not do cut, until nothing of it lies outside. */
function within(view: View, whole: View): View {
  const from = Math.max(whole.from, Math.min(view.from, whole.to - length(view)));
  return { from, to: Math.min(whole.to, from + length(view)) };
}

export const isWhole = (view: View, whole: View): boolean => length(view) >= length(whole);

/** Whether there is nothing closer to see. */
export const isClosest = (view: View): boolean => length(view) <= SHORTEST;
