/** The one session of this page. */
import { createSession, type Session } from "@batonpass/client";

export const session: Session = createSession();
