/**
 * The rules of src/batonpass/family.py, line by line, but for changes of rights: what a presented refresh
 * token means, and what it does to its family. Times in ms.
 */

/** As `REFRESH_GRACE_SECONDS`: Chromium writes its cookie jar every ~30 s. */
export const GRACE_MS = 30_000;

export type Verdict = "revoked" | "rotate" | "repeat" | "superseded" | "recover" | "reused";

export interface Family {
  readonly id: string;
  readonly user: string;
  token: string;
  /** The spent token that the current one follows; null: the login's, or settled. */
  openedBy: string | null;
  generation: number;
  recoverableFrom: number;
  windowGeneration: number;
  windowStartedAt: number | null;
  rotatedAt: number;
  ended: string | null;
}

export const tokenOf = (id: string, generation: number): string => `${id}.${generation}`;

export const generationOf = (token: string): number => Number(token.split(".")[1]);

export const beginFamily = (id: string, user: string, now: number): Family => ({
  id,
  user,
  token: tokenOf(id, 0),
  openedBy: null,
  generation: 0,
  recoverableFrom: 0,
  windowGeneration: 0,
  windowStartedAt: null,
  rotatedAt: now,
  ended: null,
});

const inGrace = (since: number | null, at: number): boolean =>
  since !== null && at - since <= GRACE_MS;

const hasSettled = (since: number, at: number): boolean => at - since > 2 * GRACE_MS;

export function judge(family: Family, presented: string, now: number): Verdict {
  if (family.ended !== null) return "revoked";
  if (presented === family.token) return "rotate";
  const opens = presented === family.openedBy;
  const generation = generationOf(presented);
  if (opens && inGrace(family.rotatedAt, now)) return "repeat";
  if (generation >= family.windowGeneration && inGrace(family.windowStartedAt, now)) {
    return "superseded";
  }
  return opens || generation >= family.recoverableFrom ? "recover" : "reused";
}

export function rotate(family: Family, now: number): void {
  const { generation, windowStartedAt } = family;
  if (hasSettled(family.rotatedAt, now)) family.recoverableFrom = generation;
  if (!inGrace(windowStartedAt, now)) {
    if (windowStartedAt !== null) {
      family.recoverableFrom = Math.max(family.recoverableFrom, family.windowGeneration);
    }
    const isUnsettled = family.recoverableFrom < generation;
    family.windowGeneration = isUnsettled ? generation - 1 : generation;
    family.windowStartedAt = now;
  }
  advance(family, family.token, now);
}

export function recover(family: Family, presented: string, now: number): void {
  const { generation } = family;
  const behind = generationOf(presented);
  const isAgain = presented === family.openedBy && generation - behind > 1;
  family.recoverableFrom = generation + 1;
  family.windowGeneration = isAgain ? generation : behind;
  family.windowStartedAt = now;
  advance(family, presented, now);
}

/** An access token of this generation was seen long after it was issued: it has reached the user's disk. */
export function noteSeen(family: Family, generation: number, issuedAt: number, now: number): void {
  if (generation !== family.generation || !hasSettled(issuedAt, now)) return;
  family.recoverableFrom = generation;
  family.openedBy = null;
}

function advance(family: Family, spent: string, now: number): void {
  family.openedBy = spent;
  family.generation += 1;
  family.token = tokenOf(family.id, family.generation);
  family.rotatedAt = now;
}
