import { useSession } from "@batonpass/react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactElement, ReactNode } from "react";
import { isWorthSaying } from "../api/failure.ts";
import type { EventPage, LineageStep, SessionItem } from "../api/routes.ts";
import { usePrivate } from "../api/usePrivate.ts";
import { account } from "../features/account/queries.ts";
import { EventRow } from "../features/events/EventRow.tsx";
import { EventSkeleton } from "../features/events/EventSkeleton.tsx";
import { latestEvents } from "../features/events/queries.ts";
import { withoutEchoes } from "../features/events/sentence.ts";
import { howItFared } from "../features/sessions/lineage.ts";
import { session, sessions } from "../features/sessions/queries.ts";
import { SessionSummary } from "../features/sessions/SessionSummary.tsx";
import { SessionRowsSkeleton, ThisDeviceSkeleton } from "../features/sessions/SessionsSkeleton.tsx";
import { ThisDevice } from "../features/sessions/ThisDevice.tsx";
import { Card } from "../ui/Card.tsx";
import { Empty } from "../ui/Empty.tsx";
import { LoadError } from "../ui/LoadError.tsx";
import { quietLinkClass } from "../ui/link.ts";
import { PageHead } from "../ui/PageHead.tsx";
import { Time } from "../ui/Time.tsx";
import { count } from "../ui/time.ts";

const ROWS = 5;
const NOTHING_YET = "\u00a0"; // a line as high as the one to come: a mere space has no height

/** Who you are, where you are signed in, how this session fared, what happened: all asked for at once. */
export function OverviewPage(): ReactElement {
  const me = useQuery(usePrivate(account));
  const list = useQuery(usePrivate(sessions));
  const events = useQuery(usePrivate(latestEvents));
  const { snapshot } = useSession();
  const id = "sessionId" in snapshot ? snapshot.sessionId : me.data?.session_id;
  const own = useQuery({ ...session(id ?? ""), enabled: id !== undefined });
  return (
    <>
      <PageHead
        title="Overview"
        lead={
          me.data ? (
            <>
              {me.data.email}, account since <Time at={me.data.created_at} as="day" />
            </>
          ) : (
            NOTHING_YET
          )
        }
      />
      <div className="flex flex-col gap-6">
        <Sessions
          items={list.data}
          lineage={own.data?.lineage}
          failed={isWorthSaying(list.error)}
          onRetry={() => void list.refetch()}
        />
        {list.isPending ? null : ( // how far down it stands depends on how many sessions there are
          <Recent
            page={events.data}
            failed={isWorthSaying(events.error)}
            here={me.data?.session_id}
            onRetry={() => void events.refetch()}
          />
        )}
      </div>
    </>
  );
}

function Sessions(props: {
  readonly items: readonly SessionItem[] | undefined;
  readonly lineage: readonly LineageStep[] | undefined;
  readonly failed: boolean;
  readonly onRetry: () => void;
}): ReactElement {
  const { items, lineage, failed, onRetry } = props;
  if (!items && failed) return <LoadError what="your sessions" onRetry={onRetry} />;
  const here = items?.find(({ current }) => current);
  const others = items?.filter(({ current, ended_at }) => !current && ended_at === null);
  return (
    <>
      {here ? (
        <ThisDevice item={here} note={<p>{lineage ? howItFared(lineage) : NOTHING_YET}</p>} />
      ) : (
        <ThisDeviceSkeleton lines={2} />
      )}
      <Section
        title={others?.length ? count(others.length, "other session") : "Other sessions"}
        more={
          <Link to="/sessions" className={quietLinkClass}>
            All sessions
          </Link>
        }
      >
        {others ? <Others items={others} /> : <SessionRowsSkeleton rows={2} />}
      </Section>
    </>
  );
}

const SHOWN = 3;

function Others({ items }: { readonly items: readonly SessionItem[] }): ReactElement {
  if (items.length === 0) return <Empty>You are signed in here only.</Empty>;
  const latest = items.toSorted((a, b) => b.last_used_at.localeCompare(a.last_used_at));
  return (
    <ul className="divide-y divide-line">
      {latest.slice(0, SHOWN).map((item) => (
        <SessionSummary key={item.id} item={item} />
      ))}
    </ul>
  );
}

function Recent(props: {
  readonly page: EventPage | undefined;
  readonly failed: boolean;
  readonly here: string | undefined;
  readonly onRetry: () => void;
}): ReactElement {
  const { page, failed, here, onRetry } = props;
  if (!page && failed) return <LoadError what="your activity" onRetry={onRetry} />;
  const events = page && withoutEchoes(page.events).slice(0, ROWS);
  return (
    <Section
      title="Recent activity"
      more={
        <Link to="/activity" className={quietLinkClass}>
          All activity
        </Link>
      }
    >
      {events === undefined ? (
        <EventSkeleton rows={ROWS} />
      ) : events.length === 0 ? (
        <Empty>Logins, password changes and anything unusual will appear here.</Empty>
      ) : (
        <ul className="divide-y divide-line">
          {events.map((event) => (
            <EventRow
              key={event.id}
              event={event}
              timeAs="ago"
              here={event.session_id !== null && event.session_id === here}
            />
          ))}
        </ul>
      )}
    </Section>
  );
}

function Section(props: {
  readonly title: string;
  readonly more: ReactNode;
  readonly children: ReactNode;
}): ReactElement {
  return (
    <section>
      <div className="mb-2 flex items-baseline justify-between">
        <h2 className="text-sm font-medium text-ink-2">{props.title}</h2>
        {props.more}
      </div>
      <Card>{props.children}</Card>
    </section>
  );
}
