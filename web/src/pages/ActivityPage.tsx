import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { type ReactElement, useState } from "react";
import { isWorthSaying } from "../api/failure.ts";
import { usePrivate } from "../api/usePrivate.ts";
import { account } from "../features/account/queries.ts";
import { EventRow } from "../features/events/EventRow.tsx";
import { EventSkeleton } from "../features/events/EventSkeleton.tsx";
import { allEvents } from "../features/events/queries.ts";
import { byDay, sentence, withoutEchoes } from "../features/events/sentence.ts";
import { Button } from "../ui/Button.tsx";
import { Card } from "../ui/Card.tsx";
import { Empty } from "../ui/Empty.tsx";
import { LoadError } from "../ui/LoadError.tsx";
import { PageHead } from "../ui/PageHead.tsx";
import { dayHeading } from "../ui/time.ts";
import { useNow } from "../ui/useNow.ts";
import { NotYouDialog } from "./NotYouDialog.tsx";

export function ActivityPage(): ReactElement {
  const { data, error, refetch, hasNextPage, isFetchingNextPage, fetchNextPage } = useInfiniteQuery(
    usePrivate(allEvents),
  );
  const here = useQuery(usePrivate(account)).data?.session_id;
  const now = useNow();
  const [asking, setAsking] = useState(false);
  const days = byDay(withoutEchoes(data?.pages.flatMap(({ events }) => events) ?? []));

  return (
    <>
      <PageHead title="Activity" lead="What happened on your account." />
      {data && days.length === 0 ? (
        <Card>
          <Empty>Logins, password changes and anything unusual will appear here.</Empty>
        </Card>
      ) : data ? (
        <div className="flex flex-col gap-6">
          {days.map(({ at, events }) => (
            <section key={at.toDateString()}>
              <h2 className="mb-2 text-sm font-medium text-ink-2">{dayHeading(at, now)}</h2>
              <Card>
                <ul className="divide-y divide-line">
                  {events.map((event) => {
                    const isHere = event.session_id !== null && event.session_id === here;
                    return (
                      <EventRow
                        key={event.id}
                        event={event}
                        timeAs="hour"
                        here={isHere}
                        action={
                          sentence(event).ask && !isHere ? (
                            <button
                              type="button"
                              onClick={() => setAsking(true)}
                              className="rounded-control text-sm text-ink-2 underline decoration-line-strong underline-offset-2 hover:text-ink pointer-coarse:min-h-10"
                            >
                              Was this you?
                            </button>
                          ) : null
                        }
                      />
                    );
                  })}
                </ul>
              </Card>
            </section>
          ))}
          {hasNextPage ? (
            <div className="flex justify-center">
              <Button
                busy={isFetchingNextPage}
                busyLabel="Loading…"
                onClick={() => void fetchNextPage()}
              >
                Show earlier
              </Button>
            </div>
          ) : null}
        </div>
      ) : isWorthSaying(error) ? (
        <LoadError what="your activity" onRetry={() => void refetch()} />
      ) : (
        <section>
          <h2 className="mb-2 text-sm font-medium text-ink-2">Today</h2>
          <Card>
            <EventSkeleton rows={5} />
          </Card>
        </section>
      )}
      {asking ? <NotYouDialog onClose={() => setAsking(false)} /> : null}
    </>
  );
}
