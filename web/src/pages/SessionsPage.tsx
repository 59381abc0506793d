import { useQuery } from "@tanstack/react-query";
import { type ReactElement, useState } from "react";
import { isWorthSaying } from "../api/failure.ts";
import type { SessionItem } from "../api/routes.ts";
import { usePrivate } from "../api/usePrivate.ts";
import { EndOthersDialog, EndSessionDialog } from "../features/sessions/EndDialogs.tsx";
import { sessions } from "../features/sessions/queries.ts";
import { SessionRow } from "../features/sessions/SessionRow.tsx";
import { SessionsSkeleton } from "../features/sessions/SessionsSkeleton.tsx";
import { ThisDevice } from "../features/sessions/ThisDevice.tsx";
import { Button } from "../ui/Button.tsx";
import { Card } from "../ui/Card.tsx";
import { Empty } from "../ui/Empty.tsx";
import { LoadError } from "../ui/LoadError.tsx";
import { PageHead } from "../ui/PageHead.tsx";
import { count } from "../ui/time.ts";

export function SessionsPage(): ReactElement {
  const { data, error, refetch } = useQuery(usePrivate(sessions));
  const [asking, setAsking] = useState<SessionItem | "others" | null>(null);
  const others = data?.filter(({ current }) => !current) ?? [];
  const live = others.filter(({ ended_at }) => ended_at === null);

  return (
    <>
      <PageHead
        title="Sessions"
        lead="Where you are signed in. End what you don't recognise."
        action={
          live.length > 0 ? (
            <Button onClick={() => setAsking("others")}>End all others</Button>
          ) : null
        }
      />
      {data ? (
        <SessionList items={data} others={others} onEnd={setAsking} />
      ) : isWorthSaying(error) ? (
        <LoadError what="your sessions" onRetry={() => void refetch()} />
      ) : (
        <SessionsSkeleton />
      )}
      {asking === "others" ? (
        <EndOthersDialog others={live} onClose={() => setAsking(null)} />
      ) : asking ? (
        <EndSessionDialog item={asking} onClose={() => setAsking(null)} />
      ) : null}
    </>
  );
}

function SessionList(props: {
  readonly items: readonly SessionItem[];
  readonly others: readonly SessionItem[];
  readonly onEnd: (item: SessionItem) => void;
}): ReactElement {
  const here = props.items.find(({ current }) => current);
  const live = props.others.filter(({ ended_at }) => ended_at === null).length;
  return (
    <div className="flex flex-col gap-6">
      {here ? <ThisDevice item={here} /> : null}
      <section>
        <h2 className="mb-2 text-sm font-medium text-ink-2">
          {live > 0 ? count(live, "other session") : "Other sessions"}
        </h2>
        <Card>
          {props.others.length > 0 ? (
            <ul className="divide-y divide-line">
              {props.others.toSorted(liveFirst).map((item) => (
                <SessionRow
                  key={item.id}
                  item={item}
                  {...(item.ended_at ? {} : { onEnd: () => props.onEnd(item) })}
                />
              ))}
            </ul>
          ) : (
            <Empty>You are signed in here only. Other devices will appear here.</Empty>
          )}
        </Card>
      </section>
    </div>
  );
}

/** Those that live before those that ended, the latest first. */
function liveFirst(a: SessionItem, b: SessionItem): number {
  const ended = Number(a.ended_at !== null) - Number(b.ended_at !== null);
  return ended || (b.ended_at ?? b.last_used_at).localeCompare(a.ended_at ?? a.last_used_at);
}
