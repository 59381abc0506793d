import type { ReactElement } from "react";
import type { SessionItem } from "../../api/routes.ts";
import { Time } from "../../ui/Time.tsx";

/** Both limits in a row of a list: two short lines. */
export function BriefLimits({ item }: { readonly item: SessionItem }): ReactElement {
  const last = (
    <>
      <Time at={item.expires_at} as="until" /> at the latest
    </>
  );
  if (item.idle_expires_at >= item.expires_at) return <p>Until {last}</p>;
  return (
    <p>
      <span className="block">
        Until <Time at={item.idle_expires_at} as="until" /> if unused,
      </span>{" "}
      <span className="block">{last}</span>
    </p>
  );
}
