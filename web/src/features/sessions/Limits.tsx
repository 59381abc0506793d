import type { ReactElement } from "react";
import type { SessionItem } from "../../api/routes.ts";
import { Time } from "../../ui/Time.tsx";

/** Both limits of a session: the one that use moves on, and the one that nothing moves. */
export function Limits({ item }: { readonly item: SessionItem }): ReactElement {
  if (item.idle_expires_at >= item.expires_at) {
    return (
      <p>
        Signed in until <Time at={item.expires_at} as="until" /> at the latest.
      </p>
    );
  }
  return (
    <p>
      Signed in until <Time at={item.idle_expires_at} as="until" />, longer whenever you use it,
      until <Time at={item.expires_at} as="until" /> at the latest.
    </p>
  );
}
