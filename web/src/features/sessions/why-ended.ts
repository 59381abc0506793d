/** Why a session is over, from the reason that the server keeps; for a list of sessions. Pure. */

const WHY: Readonly<Record<string, string>> = {
  logout: "Logged out",
  revoked: "Ended from another session",
  password: "Ended when the password was changed",
  reused: "Ended for safety: an old copy of it was used",
  forked: "Ended when the server was restored from a backup",
  rights_changed: "Ended: the answer to a password change was lost on its way",
  expired: "Its time was over",
  excess: "Ended: there were too many sessions at once",
  user_disabled: "Ended when the account was disabled",
};

export const whyEnded = (reason: string | null): string => WHY[reason ?? ""] ?? "Ended";
