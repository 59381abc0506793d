/** One sentence for the dialog "Your session has expired": why. Pure. */
import type { EndCode, EndReason } from "@batonpass/client";

const BY_REASON: Readonly<Record<EndReason, string>> = {
  logout: "You logged out elsewhere.",
  revoked: "It was ended from another device of yours.",
  password: "Your password was changed on another device, which ends every other session.",
  reused: "An old copy of this session was used. If that was not you, change your password.",
  forked: "The server was restored from a backup. Nothing is wrong with your account.",
  rights_changed:
    "The answer to a password change was lost on its way. Nothing is wrong with your account.",
  expired: "You were away for longer than a session lasts.",
  excess: "You are logged in on more devices than an account may be; the oldest session ended.",
  user_disabled: "This account has been disabled.",
};

const BY_CODE: Readonly<Record<EndCode, string>> = {
  refresh_missing: "This browser no longer holds it.",
  refresh_invalid: "The server does not know it.",
  refresh_expired: BY_REASON.expired,
  refresh_revoked: "It was ended.",
  refresh_reused: BY_REASON.reused,
  logged_out: "You logged out in another tab.",
};

export function whyExpired(code: EndCode, reason: EndReason | null): string {
  const known: Readonly<Record<string, string>> = BY_REASON; // a newer server may know more reasons
  return (reason && known[reason]) || BY_CODE[code];
}
