/** What a step in a session's life says. Pure. */

const STEPS: Readonly<Record<string, string>> = {
  created: "Logged in",
  rotated: "Renewed",
  recovered: "An answer was lost; we noticed and kept you signed in",
  repeated: "The same answer was given again",
  elsewhere: "Answered on another device or network",
  reused: "An old copy was used",
  rights_changed: "Password changed",
  ended: "Ended",
};

export const lineageStep = (kind: string): string => STEPS[kind] ?? kind.replaceAll("_", " ");
