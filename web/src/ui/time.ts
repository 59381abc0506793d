/** Times as people say them. Pure: `now` is a parameter. English, 24 hours, the reader's own time zone. */

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const dayAndMonth = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long" });
const fullDay = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "long",
  year: "numeric",
});
const weekday = new Intl.DateTimeFormat("en-GB", { weekday: "long" });
const exact = new Intl.DateTimeFormat("en-GB", {
  weekday: "long",
  day: "numeric",
  month: "long",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  timeZoneName: "short",
});

/** "just now", "3 minutes ago", "yesterday", "12 November". A time to come counts as now: clocks differ. */
export function ago(at: Date, now: Date): string {
  const passed = now.getTime() - at.getTime();
  if (passed < 45 * SECOND) return "just now";
  if (passed < HOUR) return `${count(Math.max(1, Math.round(passed / MINUTE)), "minute")} ago`;
  const days = daysBetween(at, now);
  if (days === 0 || passed < 6 * HOUR) return `${count(Math.floor(passed / HOUR), "hour")} ago`;
  if (days === 1) return "yesterday";
  if (days < 7) return `${days} days ago`;
  return day(at, now);
}

/** "12 November", with its year where that is not this one. */
export function day(at: Date, now: Date): string {
  return (at.getFullYear() === now.getFullYear() ? dayAndMonth : fullDay).format(at);
}

/** A day as a heading: "Today", "Yesterday", "Monday, 16 November". */
export function dayHeading(at: Date, now: Date): string {
  const days = daysBetween(at, now);
  if (days <= 0) return "Today";
  return days === 1 ? "Yesterday" : `${weekday.format(at)}, ${day(at, now)}`;
}

/** A moment to come: "today, 20:46", "tomorrow, 20:46", "30 November". */
export function moment(at: Date, now: Date): string {
  const days = -daysBetween(at, now);
  if (days > 1) return day(at, now); // so far away the hour says nothing
  return `${days === 1 ? "tomorrow" : days === 0 ? "today" : day(at, now)}, ${clock.format(at)}`;
}

/** "From yesterday, 20:46 until today, 09:12" */
export const stretch = (from: Date, to: Date, now: Date): string =>
  `From ${past(from, now)} until ${past(to, now)}`;

/** A moment that is over: "today, 20:46", "yesterday, 20:46", "12 November, 20:46". */
export function past(at: Date, now: Date): string {
  const days = daysBetween(at, now);
  return `${days <= 0 ? "today" : days === 1 ? "yesterday" : day(at, now)}, ${clock.format(at)}`;
}

/** "20:46" */
export const hour = (at: Date): string => clock.format(at);

/** "Monday 23 November 2026 at 20:46:25 UTC" */
export const exactly = (at: Date): string => exact.format(at);

/** How long there is to wait: "8 s", "4 min 12 s", "1 h 3 min". Rounds up: never "0 s" too early. */
export function wait(ms: number): string {
  const seconds = Math.max(1, Math.ceil(ms / SECOND));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return seconds % 60 ? `${minutes} min ${seconds % 60} s` : `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
}

/** Calendar days from `from` to `to`, in the reader's time zone. */
export function daysBetween(from: Date, to: Date): number {
  return Math.round((startOfDay(to) - startOfDay(from)) / DAY); // rounds: a day may have 23 or 25 hours
}

const startOfDay = (at: Date): number =>
  new Date(at.getFullYear(), at.getMonth(), at.getDate()).getTime();

/** "1 minute", "2 minutes" */
export const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? "" : "s"}`;
