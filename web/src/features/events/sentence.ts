/** What a security event says to the person whose account it is. Pure. */
import type { SecurityEvent } from "../../api/routes.ts";

export type EventSign = "in" | "out" | "key" | "blocked" | "theft" | "kept" | "account" | "note";

export interface EventSentence {
  readonly sign: EventSign;
  readonly text: string;
  /** Worth a second look: "Was this you?" leads somewhere. */
  readonly ask: boolean;
}

const say = (sign: EventSign, text: string, ask = false): EventSentence => ({ sign, text, ask });

const OLD_COPY_USED = say(
  "theft",
  "An old copy of a session was used, so we ended that session.",
  true,
);

/** The events of docs/security.md that concern one account; the names are OWASP's where it has one. */
const SENTENCES: Readonly<Record<string, EventSentence>> = {
  authn_login_success: say("in", "New login.", true),
  authn_login_successafterfail: say("in", "New login, after wrong passwords.", true),
  authn_login_fail: say("blocked", "A login was refused: wrong password."),
  authn_login_fail_max: say(
    "blocked",
    "Too many wrong passwords. Further logins were put on hold.",
  ),
  authn_password_change: say(
    "key",
    "Your password was changed, and every other session ended.",
    true,
  ),
  authn_password_change_fail: say(
    "blocked",
    "A password change was refused: the current password was wrong.",
    true,
  ),
  authn_token_revoked: say("out", "A session was ended."),
  authn_token_reuse: OLD_COPY_USED,
  refresh_token_reused: OLD_COPY_USED,
  session_created: say("in", "A session began."),
  session_renewed: say("kept", "A session was renewed."),
  session_expired: say("out", "A session ended: its time was over."),
  session_logout: say("out", "You logged out."),
  session_use_after_expire: say("blocked", "A session that had ended was tried again, in vain."),
  excess_rate_limit_exceeded: say("blocked", "Too many attempts. Further ones were put on hold."),
  excess_sessions_exceeded: say("out", "The oldest session ended: there were too many at once."),
  authz_fail: say("blocked", "A request for something of another account was refused."),
  malicious_csrf: say("blocked", "A request that came from another site was refused."),
  user_created: say("account", "Your account was created."),
  user_updated: say("account", "Your account was changed."),
  user_archived: say("account", "Your account was disabled."),
  user_deleted: say("account", "Your account was deleted."),
  history_forked: say("out", "A session ended: the server had been restored from a backup."),
  rights_changed: say(
    "out",
    "A session ended: the answer to a password change was lost on its way.",
  ),
  lost_answer_recovered: say("kept", "We noticed a hiccup and kept you signed in."),
  answered_elsewhere: say("theft", "One session was used from two places within moments.", true),
  stolen_cookie_refused: say("theft", "A copy of a session was refused on another device.", true),
  register_on_existing: say("account", "Someone tried to create an account with your e-mail."),
};

/** Says an event; one that this page does not know yet by its name, so that none is swallowed. */
export function sentence(event: Pick<SecurityEvent, "event">): EventSentence {
  return SENTENCES[event.event] ?? say("note", `Recorded: ${event.event.replaceAll("_", " ")}.`);
}

const LOGINS: ReadonlySet<string> = new Set([
  "authn_login_success",
  "authn_login_successafterfail",
]);

const SAME_MOMENT_MS = 2_000; // a login and the session that it begins are written one after the other

/** Tells a login and the session that it begins as one: the login, in that session. */
export function withoutEchoes(events: readonly SecurityEvent[]): readonly SecurityEvent[] {
  const sessions = new Map<SecurityEvent, SecurityEvent>(); // by its login
  for (const begun of events.filter(({ event }) => event === "session_created")) {
    const login = events.find((event) => !sessions.has(event) && begins(event, begun));
    if (login) sessions.set(login, begun);
  }
  const echoes = new Set(sessions.values());
  return events
    .filter((event) => !echoes.has(event))
    .map((event) => ({
      ...event,
      session_id: sessions.get(event)?.session_id ?? event.session_id,
    }));
}

function begins(login: SecurityEvent, session: SecurityEvent): boolean {
  if (!LOGINS.has(login.event)) return false;
  if (login.session_id !== null) return login.session_id === session.session_id;
  const apart = Math.abs(Date.parse(login.at) - Date.parse(session.at));
  return apart <= SAME_MOMENT_MS && login.ip === session.ip && login.device === session.device;
}

export interface EventDay {
  /** The first event's time, for the heading. */
  readonly at: Date;
  readonly events: readonly SecurityEvent[];
}

/** Groups events, which come newest first, by the reader's calendar days. */
export function byDay(events: readonly SecurityEvent[]): readonly EventDay[] {
  const days: { at: Date; events: SecurityEvent[] }[] = [];
  for (const event of events) {
    const at = new Date(event.at);
    const last = days.at(-1);
    if (last && last.at.toDateString() === at.toDateString()) last.events.push(event);
    else days.push({ at, events: [event] });
  }
  return days;
}
