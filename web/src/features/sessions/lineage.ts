/** What a session's life says, step by step and as a whole. Pure. */
import type { LineageStep } from "../../api/routes.ts";

const STEPS: Readonly<Record<string, string>> = {
  created: "Logged in",
  rotated: "Renewed",
  recovered: "An answer was lost; we noticed and kept you signed in",
  elsewhere: "Answered on another device or network",
  reused: "An old copy was used",
  forked: "The server had been restored from a backup",
  ended: "Ended",
};

export const lineageStep = (kind: string): string => STEPS[kind] ?? kind.replaceAll("_", " ");

/** The one thing worth knowing about a session's life so far. */
export function howItFared(steps: readonly LineageStep[]): string {
  const happened = (kind: string): boolean => steps.some((step) => step.kind === kind);
  if (happened("reused")) return "An old copy of it was used.";
  if (happened("elsewhere")) return "It was also used from another device or network.";
  if (happened("recovered")) return "We noticed a hiccup in it and kept you signed in.";
  return "Nothing unusual has happened in it.";
}
