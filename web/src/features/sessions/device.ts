/** What a session's device is called where nothing is known of it. Pure. */
import type { SessionItem } from "../../api/routes.ts";

export const deviceOf = ({ device }: Pick<SessionItem, "device">): string =>
  device ?? "Unknown device";
