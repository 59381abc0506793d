import { describe, expect, test } from "vitest";
import {
  type Effect,
  INITIAL,
  type SessionEvent,
  type State,
  type Token,
  transition,
  VINDICATED_FOR_MS,
} from "../src/machine.ts";

const EPOCH = 3;

function aToken(about: Partial<Token> = {}): Token {
  return {
    accessToken: "access-4",
    userId: "anna",
    sessionId: "s1",
    generation: 4,
    receivedAt: 0,
    expiresAt: 1_800_000,
    hint: "s1.4",
    ...about,
  };
}

const T4 = aToken();
const T5 = aToken({ accessToken: "access-5", generation: 5 });
const BERTS = aToken({ accessToken: "berts", userId: "bert", sessionId: "s2", generation: 0 });
const ENDING = { code: "refresh_reused", reason: "reused" };
const MISSING = { code: "refresh_missing", reason: null };

const booting: State = { name: "booting", epoch: EPOCH };
const anonymous: State = { name: "anonymous", epoch: EPOCH };
const authenticated: State = { name: "authenticated", epoch: EPOCH, token: T4, vindicated: false };
const vindicated: State = { ...authenticated, vindicated: true };
const refreshing: State = {
  name: "refreshing",
  epoch: EPOCH,
  token: T4,
  usable: false,
  failures: 0,
};
const early: State = { ...refreshing, usable: true };
const unreachable: State = {
  name: "unreachable",
  epoch: EPOCH,
  token: T4,
  usable: true,
  failures: 1,
  retryInMs: 1_000,
};
const unreachableAtBoot: State = { ...unreachable, token: null, usable: false };
const expired: State = { name: "expired", epoch: EPOCH, userId: "anna", ending: ENDING };
const loggingOut: State = { name: "logging-out", epoch: EPOCH };

const EVERY = [booting, anonymous, authenticated, refreshing, unreachable, expired, loggingOut];

const renewed = (token = T5, epoch = EPOCH): SessionEvent => ({ type: "renewed", epoch, token });
const denied = (ending: typeof ENDING | typeof MISSING = ENDING): SessionEvent => ({
  type: "denied",
  epoch: EPOCH,
  ending,
});
const away = (retryAfterMs: number | null = null): SessionEvent => ({
  type: "unreachable",
  epoch: EPOCH,
  retryAfterMs,
});
const fromTab = (token = T5): SessionEvent => ({ type: "token-from-tab", token });
const signedIn = (elsewhere = false): SessionEvent => ({
  type: "signed-in",
  token: BERTS,
  elsewhere,
});
const endedInTab = (sessionId = "s1"): SessionEvent => ({
  type: "ended-in-tab",
  sessionId,
  ending: ENDING,
});
const a401 = (sentWith = "access-4", revoked = false, now = 0): SessionEvent => ({
  type: "unauthorized",
  sentWith,
  revoked,
  now,
});
const need = (usable = false): SessionEvent => ({ type: "refresh-needed", usable });

type Row = readonly [
  id: string,
  from: State,
  event: SessionEvent,
  to: Partial<State> & { name: State["name"] },
  ...effects: Effect[],
];

// biome-ignore format: a table is read by its columns
const TABLE: readonly Row[] = [
  ["boot: a token", booting, renewed(), { name: "authenticated", token: T5 }, "serve-waiting", "tell-token"],
  ["boot: a neighbour's token is not told again", booting, fromTab(), { name: "authenticated", token: T5 }, "serve-waiting"],
  ["boot: nobody", booting, denied(MISSING), { name: "anonymous" }, "serve-waiting"],
  ["boot: a dead session", booting, denied(), { name: "expired", userId: null, epoch: 4 }, "serve-waiting", "tell-ending"],
  ["boot: offline is no logout", booting, away(), { name: "unreachable", token: null, retryInMs: 1_000 }, "serve-waiting", "schedule-retry"],
  ["boot: a login is quicker", booting, signedIn(), { name: "authenticated", token: BERTS, epoch: 4 }, "serve-waiting", "tell-login"],

  ["a 401 to the token: refresh", authenticated, a401(), { name: "refreshing", usable: false, failures: 0 }, "refresh"],
  ["a late 401: none", authenticated, a401("access-3"), authenticated],
  ["refused twice: vindicated", authenticated, { type: "refused-again", sentWith: "access-4" }, vindicated],
  ["refused twice with an older one: not", authenticated, { type: "refused-again", sentWith: "access-3" }, authenticated],
  ["vindicated: a 401 is the endpoint's", vindicated, a401("access-4", false, VINDICATED_FOR_MS - 1), vindicated],
  ["vindicated: not for ever", vindicated, a401("access-4", false, VINDICATED_FOR_MS), { name: "refreshing" }, "refresh"],
  ["vindicated: not when revoked", vindicated, a401("access-4", true), { name: "refreshing" }, "refresh"],
  ["the token is over", authenticated, need(), { name: "refreshing", usable: false }, "refresh"],
  ["nearly over: usable meanwhile", authenticated, need(true), { name: "refreshing", usable: true }, "refresh"],
  ["another tab refreshed", authenticated, fromTab(), { name: "authenticated", token: T5 }, "serve-waiting"],
  ["another tab's token is older", { ...authenticated, token: T5 }, fromTab(T4), { name: "authenticated", token: T5 }],
  ["another session's is no successor", authenticated, fromTab({ ...BERTS, generation: 9 }), authenticated],
  ["a second answer, newer", authenticated, renewed(), { name: "authenticated", token: T5 }, "serve-waiting"],
  ["a denial of what was renewed elsewhere", authenticated, denied(), authenticated],
  ["a late failure", authenticated, away(), authenticated],
  ["it ended in another tab", authenticated, endedInTab(), { name: "expired", userId: "anna", epoch: 4 }, "serve-waiting"],
  ["another session ended", authenticated, endedInTab("s0"), authenticated],

  ["renewed", refreshing, renewed(), { name: "authenticated", token: T5, vindicated: false }, "serve-waiting", "tell-token"],
  ["renewed, for another user: the cookie was his", refreshing, renewed(BERTS), { name: "authenticated", token: BERTS }, "serve-waiting", "tell-token"],
  ["denied", refreshing, denied(), { name: "expired", userId: "anna", ending: ENDING, epoch: 4 }, "serve-waiting", "tell-ending"],
  ["the cookie is missing after it was there: an end", refreshing, denied(MISSING), { name: "expired", ending: MISSING }, "serve-waiting", "tell-ending"],
  ["unreachable", refreshing, away(), { name: "unreachable", failures: 1, retryInMs: 1_000 }, "serve-waiting", "schedule-retry"],
  ["unreachable, Retry-After", refreshing, away(20_000), { name: "unreachable", retryInMs: 20_000 }, "serve-waiting", "schedule-retry"],
  ["unreachable, a Retry-After of a day", refreshing, away(86_400_000), { name: "unreachable", retryInMs: 300_000 }, "serve-waiting", "schedule-retry"],
  ["the third failure", { ...refreshing, failures: 2 }, away(), { name: "unreachable", failures: 3, retryInMs: 4_000 }, "serve-waiting", "schedule-retry"],
  ["the hundredth", { ...refreshing, failures: 99 }, away(), { name: "unreachable", retryInMs: 60_000 }, "serve-waiting", "schedule-retry"],
  ["one more 401 waits", refreshing, a401(), refreshing],
  ["a 401 to what was usable", early, a401(), { name: "refreshing", usable: false }],
  ["a late 401 leaves it usable", early, a401("access-3"), early],
  ["over meanwhile", early, need(), { name: "refreshing", usable: false }],
  ["another tab was quicker", refreshing, fromTab(), { name: "authenticated", token: T5 }, "serve-waiting"],
  ["another tab's is the one we have", refreshing, fromTab(T4), refreshing],

  ["try again", unreachable, { type: "retry" }, { name: "refreshing", failures: 1, usable: true }, "refresh"],
  ["boot, try again, nobody", { ...refreshing, token: null }, denied(MISSING), { name: "anonymous" }, "serve-waiting"],
  ["boot, another tab got through", unreachableAtBoot, fromTab(), { name: "authenticated", token: T5 }, "serve-waiting"],
  ["a 401 meanwhile", unreachable, a401(), { name: "unreachable", usable: false }],
  ["it ended meanwhile", unreachable, endedInTab(), { name: "expired" }, "serve-waiting"],

  ["nobody: another tab's stray token brings none back", anonymous, fromTab(), anonymous],
  ["nobody: a 401 is the caller's", anonymous, a401(), anonymous],
  ["expired: a stray token brings none back", expired, fromTab(), expired],
  ["expired: try again does nothing", expired, { type: "retry" }, expired],

  ["logged out", loggingOut, { type: "logout-done", epoch: EPOCH }, { name: "anonymous" }, "serve-waiting"],
  ["logging out: a token in flight", loggingOut, renewed(), loggingOut],
  ["logging out: another tab's stray token", loggingOut, fromTab(), loggingOut],
  ["logging out in two tabs", loggingOut, { type: "logged-out-in-tab" }, loggingOut],
];

test.for(TABLE)("%s", ([, from, event, to, ...effects]) => {
  const step = transition(from, event);

  expect(step.state).toMatchObject(to);
  expect(step.effects).toEqual(effects);
});

describe.for(EVERY)("while $name", (state) => {
  test("a login takes over, and belongs to a new epoch", () => {
    const step = transition(state, signedIn());

    expect(step.state).toMatchObject({ name: "authenticated", token: BERTS, epoch: EPOCH + 1 });
    expect(step.effects).toEqual(["serve-waiting", "tell-login"]);
  });

  test("a login in another tab takes over, and is not told back", () => {
    expect(transition(state, signedIn(true)).effects).toEqual(["serve-waiting"]);
  });

  test("a logout raises the epoch before anything else", () => {
    const step = transition(state, { type: "logout" });

    expect(step.state).toEqual({ name: "logging-out", epoch: EPOCH + 1 });
    expect(step.effects).toEqual(["tell-logout", "post-logout", "serve-waiting"]);
  });

  test("a strange cookie makes it forget whose page it was", () => {
    expect(transition(state, { type: "strange-cookie" })).toEqual({
      state: { name: "booting", epoch: EPOCH + 1 },
      effects: ["refresh"],
    });
  });

  test.for([renewed(T5, 2), { ...denied(), epoch: 2 }, { ...away(), epoch: 2 }])(
    "$type from an earlier epoch is not believed",
    (event) => {
      expect(transition(state, event as SessionEvent)).toEqual({ state, effects: [] });
    },
  );
});

test("nobody's token survives a logout, whatever comes later", () => {
  const out = transition(authenticated, { type: "logout" }).state;
  const late = [renewed(), denied(), away(), fromTab(), a401(), need(), { type: "retry" } as const];

  const after = late.reduce((state, event) => transition(state, event).state, out);

  expect(after).toBe(out);
});

test("it begins not knowing", () => {
  expect(INITIAL).toEqual({ name: "booting", epoch: 0 });
});
