/** What the Lab's timeline shows: facts in, rows out. Pure. */
import type { SessionSnapshot } from "@batonpass/client";

export type Who = "this tab" | "another tab" | "the thief";
export type Tone = "plain" | "ok" | "warn" | "danger";

export interface Answered {
  readonly status: number;
  readonly code: string | null;
  readonly generation: number | null;
}

/** Who takes part, from left to right: a lane each. */
export const LANES = ["this tab", "another tab", "the thief", "the server"] as const;

export type Fact =
  /** The visitor has pressed a button, or time has passed. */
  | { readonly type: "step"; readonly said: string }
  /** A refresh token was presented; `lost`: the answer did not arrive. */
  | {
      readonly type: "refresh";
      readonly who: Who;
      /** The generation of that token, where anybody can know it. */
      readonly presented: number | null;
      readonly answer: Answered;
      readonly lost?: boolean;
    }
  /** A request with an access token. */
  | { readonly type: "request"; readonly who: Who; readonly answer: Answered }
  /** What a client made of it; nobody was asked. */
  | { readonly type: "client"; readonly who: Who; readonly said: string; readonly tone: Tone };

export interface Decision {
  /** The verdict, in the words of the rules. */
  readonly verdict: string;
  readonly why: string;
  readonly tone: Tone;
  /** The row of the rules that applied, as docs/security.md numbers them. */
  readonly rule?: Rule;
}

export interface Rule {
  readonly row: number;
  readonly says: string;
}

export type Row =
  | { readonly id: number; readonly type: "step"; readonly said: string }
  | {
      readonly id: number;
      readonly type: "exchange";
      readonly who: Who;
      readonly said: string;
      readonly count: number;
      readonly tone: Tone;
      /** Null: the client decided this by itself. */
      readonly decision: Decision | null;
      /** The decision never reached who asked. */
      readonly lost: boolean;
    };

export interface Timeline {
  readonly rows: readonly Row[];
  /** The newest token that was ever answered; null: nobody knows. */
  readonly newest: number | null;
}

export const empty = (newest: number | null): Timeline => ({ rows: [], newest });

/** Add a fact. The same again within a step counts up: twenty refusals are one row. */
export function add({ rows, newest }: Timeline, fact: Fact): Timeline {
  const id = rows.length;
  if (fact.type === "step") return { rows: [...rows, { id, ...fact }], newest };
  const row = exchange(id, fact, newest);
  const { generation = null } = fact.type === "refresh" ? fact.answer : {};
  return {
    rows: merged(rows, row) ?? [...rows, row],
    newest: generation === null ? newest : Math.max(generation, newest ?? 0),
  };
}

type Exchange = Extract<Row, { type: "exchange" }>;

function exchange(
  id: number,
  fact: Exclude<Fact, { type: "step" }>,
  newest: number | null,
): Exchange {
  const { who } = fact;
  if (fact.type === "client") {
    const { said, tone } = fact;
    return { id, type: "exchange", who, said, count: 1, tone, decision: null, lost: false };
  }
  const isRefresh = fact.type === "refresh";
  const decision = isRefresh ? aboutRefresh(fact, newest) : aboutRequest(fact.answer);
  const said = isRefresh ? presents(fact) : "Asks for the account.";
  const lost = isRefresh && fact.lost === true;
  return { id, type: "exchange", who, said, count: 1, tone: decision.tone, decision, lost };
}

type Refresh = Extract<Fact, { type: "refresh" }>;

const presents = ({ who, lost }: Refresh): string =>
  who === "the thief"
    ? "Presents the stolen refresh token."
    : lost
      ? "Presents its refresh token; the answer is lost on its way."
      : "Presents its refresh token.";

const RULES = {
  revoked: { row: 3, says: "Its family has ended." },
  rotate: { row: 5, says: "It is the current one: it is spent, a successor becomes current." },
  repeat: {
    row: 7,
    says: "It opens the row, within grace: the same successor is answered again.",
  },
  superseded: { row: 8, says: "It lies in the open window: a slow tab." },
  recover: {
    row: 10,
    says: "It opens the row, and nothing later is known to have arrived: what came after is withdrawn.",
  },
  reused: { row: 11, says: "It is any other spent one: somebody holds a copy." },
} as const satisfies Readonly<Record<string, Rule>>;

function aboutRefresh({ presented, answer }: Refresh, newest: number | null): Decision {
  const { status, code, generation } = answer;
  if (status !== 200 || generation === null) return REFUSED[code ?? ""] ?? refusal(status, code);
  // A recovery skips what it withdraws: nothing else answers more than the next generation.
  if (presented !== null && generation > presented + 1) {
    return {
      verdict: "recover",
      tone: "ok",
      why: `What followed token ${presented} never arrived; token ${generation} takes over.`,
      rule: RULES.recover,
    };
  }
  return newest !== null && generation <= newest
    ? {
        verdict: "repeat",
        tone: "ok",
        why: `Spent a moment ago, so the same answer again: token ${generation}.`,
        rule: RULES.repeat,
      }
    : {
        verdict: "rotate",
        tone: "ok",
        why: `Token ${generation - 1} is spent, token ${generation} takes over.`,
        rule: RULES.rotate,
      };
}

const REFUSED: Readonly<Record<string, Decision>> = {
  refresh_reused: {
    verdict: "reused",
    tone: "danger",
    why: "Spent long ago: somebody holds a copy. The session ends, for everybody.",
    rule: RULES.reused,
  },
  refresh_revoked: {
    verdict: "revoked",
    tone: "danger",
    why: "The session has ended.",
    rule: RULES.revoked,
  },
  refresh_superseded: {
    verdict: "superseded",
    tone: "warn",
    why: "Another tab was faster: look for its token, and ask again.",
    rule: RULES.superseded,
  },
};

const refusal = (status: number, code: string | null): Decision => ({
  verdict: code ?? String(status),
  tone: "warn",
  why: "Refused; no session is touched by it.",
});

function aboutRequest({ status, code }: Answered): Decision {
  if (status < 400) return { verdict: String(status), tone: "plain", why: "Answered." };
  if (code === "session_revoked") {
    return {
      verdict: code,
      tone: "danger",
      why: "The session has ended, its access token with it.",
    };
  }
  return status === 401
    ? { verdict: code ?? "401", tone: "warn", why: "This access token does not count." }
    : refusal(status, code);
}

/** The rows with one more of `row`, where this step has its like already. */
function merged(rows: readonly Row[], row: Exchange): readonly Row[] | null {
  const at = rows.findLastIndex((one) => one.type === "step" || isLike(one, row));
  const found = rows[at];
  if (!found || found.type === "step") return null;
  return rows.with(at, { ...found, count: found.count + 1 });
}

const isLike = (one: Exchange, other: Exchange): boolean =>
  one.who === other.who &&
  one.said === other.said &&
  one.decision?.verdict === other.decision?.verdict &&
  one.decision?.why === other.decision?.why;

/** What a client's new state means to whoever watches; null: nothing that the answers do not say. */
export function aboutClient(
  snapshot: SessionSnapshot,
): { readonly said: string; readonly tone: Tone } | null {
  switch (snapshot.status) {
    case "refreshing":
      return { said: "Refreshes, once; whoever asks meanwhile waits.", tone: "plain" };
    case "unreachable":
      return snapshot.retryInMs > 0
        ? { said: "No answer came. Still signed in: it tries again in a second.", tone: "warn" }
        : null;
    case "expired":
      return { said: "The session is over: it says so, and asks for a login.", tone: "danger" };
    default:
      return null;
  }
}
