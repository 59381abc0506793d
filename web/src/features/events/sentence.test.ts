import { expect, test } from "vitest";
import type { SecurityEvent } from "../../api/routes.ts";
import { byDay, sentence, withoutEchoes } from "./sentence.ts";

let ids = 0;

function anEvent(event: string, overrides: Partial<SecurityEvent> = {}): SecurityEvent {
  ids += 1;
  return {
    id: String(ids),
    event,
    at: "2026-11-23T12:00:00Z",
    session_id: "s1",
    ip: null,
    device: null,
    details: null,
    ...overrides,
  };
}

/** docs/security.md, "Events": those of one account. */
const NAMES = [
  "authn_login_success",
  "authn_login_successafterfail",
  "authn_login_fail",
  "authn_login_fail_max",
  "authn_password_change",
  "authn_password_change_fail",
  "authn_token_revoked",
  "refresh_token_reused",
  "session_created",
  "session_renewed",
  "session_expired",
  "session_logout",
  "session_use_after_expire",
  "excess_rate_limit_exceeded",
  "excess_sessions_exceeded",
  "authz_fail",
  "malicious_csrf",
  "user_created",
  "user_updated",
  "user_archived",
  "user_deleted",
  "history_forked",
  "rights_changed",
  "lost_answer_recovered",
  "answered_elsewhere",
  "stolen_cookie_refused",
  "register_on_existing",
];

test.each(NAMES)("%s is said in a plain sentence", (name) => {
  const { text } = sentence({ event: name });

  expect(text).toMatch(/^[A-Z].*\.$/);
  expect(text).not.toMatch(/_|family|generation|token|Recorded/); // users read of sessions and devices
});

test("theft is a theft under both of its names, and asks whether it was you", () => {
  expect(sentence({ event: "authn_token_reuse" })).toEqual(
    sentence({ event: "refresh_token_reused" }),
  );
  expect(sentence({ event: "refresh_token_reused" })).toMatchObject({ sign: "theft", ask: true });
});

test("a lost answer alarms nobody", () => {
  expect(sentence({ event: "lost_answer_recovered" })).toEqual({
    sign: "kept",
    text: "We noticed a hiccup and kept you signed in.",
    ask: false,
  });
});

test("an event that a newer server has is shown by its name", () => {
  expect(sentence({ event: "moon_full" }).text).toBe("Recorded: moon full.");
});

test("a login and the session that it began are one line, in that session", () => {
  const begun = anEvent("session_created", { session_id: "s2", at: "2026-11-23T12:00:00.2Z" });
  const login = anEvent("authn_login_success", { session_id: null });

  expect(withoutEchoes([begun, login])).toEqual([{ ...login, session_id: "s2" }]);
});

test.each([
  ["another device", { device: "curl" }],
  ["another address", { ip: "203.0.113.9" }],
  ["another moment", { at: "2026-11-23T12:00:03Z" }],
])("a session begun from %s is no echo of the login", (_, elsewhere) => {
  const begun = anEvent("session_created", { session_id: "s2", ...elsewhere });
  const login = anEvent("authn_login_success", { session_id: null });

  expect(withoutEchoes([begun, login])).toEqual([begun, login]);
});

test("two logins at once keep a line each", () => {
  const login = (): SecurityEvent => anEvent("authn_login_success", { session_id: null });
  const begun = (session_id: string): SecurityEvent => anEvent("session_created", { session_id });

  const told = withoutEchoes([begun("s2"), login(), begun("s1"), login()]);

  expect(told.map(({ session_id }) => session_id)).toEqual(["s2", "s1"]);
});

test("events are grouped by the reader's days, newest first as they came", () => {
  const at = (day: number, hour: number): { at: string } => ({
    at: new Date(2026, 10, day, hour).toISOString(),
  });
  const [a, b, c] = [
    anEvent("session_logout", at(23, 1)),
    anEvent("session_logout", at(23, 0)),
    anEvent("session_logout", at(22, 23)),
  ];

  expect(byDay([a, b, c]).map(({ events }) => events)).toEqual([[a, b], [c]]);
});
