import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { ChevronLeft } from "lucide-react";
import { type ReactElement, type ReactNode, useState } from "react";
import { failureOf, isWorthSaying } from "../api/failure.ts";
import type { SessionDetails } from "../api/routes.ts";
import { usePrivate } from "../api/usePrivate.ts";
import { EndSessionDialog } from "../features/sessions/EndDialogs.tsx";
import { Lineage } from "../features/sessions/Lineage.tsx";
import { session } from "../features/sessions/queries.ts";
import { SessionSkeleton } from "../features/sessions/SessionSkeleton.tsx";
import { whyEnded } from "../features/sessions/why-ended.ts";
import { Button, buttonClass } from "../ui/Button.tsx";
import { Card } from "../ui/Card.tsx";
import { LoadError } from "../ui/LoadError.tsx";
import { quietLinkClass } from "../ui/link.ts";
import { Notice } from "../ui/Notice.tsx";
import { PageHead } from "../ui/PageHead.tsx";
import { Time } from "../ui/Time.tsx";

export function SessionPage(): ReactElement {
  const { id } = useParams({ from: "/private/sessions/$id" });
  const { data, error, refetch } = useQuery(usePrivate(session(id)));
  return (
    <>
      <Link to="/sessions" className={`mb-3 ${quietLinkClass}`}>
        <ChevronLeft aria-hidden size={16} />
        Sessions
      </Link>
      {data ? (
        <Details item={data} />
      ) : error && failureOf(error) === "gone" ? (
        <NoSuchSession />
      ) : isWorthSaying(error) ? (
        <LoadError what="this session" onRetry={() => void refetch()} />
      ) : (
        <>
          <PageHead title="Session" lead={"\u00a0"} />
          <SessionSkeleton />
        </>
      )}
    </>
  );
}

function Details({ item }: { readonly item: SessionDetails }): ReactElement {
  const [asking, setAsking] = useState(false);
  const endable = item.ended_at === null && !item.current;
  return (
    <>
      <PageHead
        title={item.device ?? "Unknown device"}
        lead={leadOf(item)}
        action={endable ? <Button onClick={() => setAsking(true)}>End session</Button> : null}
      />
      <div className="flex flex-col gap-6">
        {item.ended_reason === "reused" ? <TheftNotice item={item} /> : null}
        <Card label="Facts">
          <dl className="divide-line max-sm:divide-y sm:grid sm:grid-cols-3 sm:gap-y-4 sm:py-4">
            <Fact name="Address">{item.ip ?? "Unknown"}</Fact>
            <Fact name="Logged in">
              <Time at={item.created_at} />
            </Fact>
            <Fact name="Last active">
              <Time at={item.last_used_at} />
            </Fact>
            {item.ended_at ? (
              <Fact name="Ended" wide>
                <Time at={item.ended_at} />. {whyEnded(item.ended_reason)}.
              </Fact>
            ) : (
              <>
                <Fact name="If it is not used">
                  Signed in until <Time at={item.idle_expires_at} as="until" />
                </Fact>
                <Fact name="However it is used">
                  Signed in until <Time at={item.expires_at} as="until" /> at the latest
                </Fact>
              </>
            )}
          </dl>
        </Card>
        <Lineage steps={item.lineage} endedAt={item.ended_at} />
      </div>
      {asking ? <EndSessionDialog item={item} onClose={() => setAsking(false)} /> : null}
    </>
  );
}

function leadOf({ current, ended_at }: SessionDetails): string {
  if (current) return "This device: the session you are using now.";
  return ended_at === null ? "Signed in on another device." : "This session has ended.";
}

function TheftNotice({ item }: { readonly item: SessionDetails }): ReactElement {
  const reuse = item.lineage.findLast(({ kind }) => kind === "reused");
  return (
    <Notice tone="danger">
      <p className="font-medium">An old copy of this session was used.</p>
      <p className="mt-1">
        {reuse ? (
          <>
            It came from {[reuse.device, reuse.ip].filter(Boolean).join(", ") || "an unknown place"}
            , <Time at={reuse.at} />.{" "}
          </>
        ) : null}
        Everything this session could do ended at that moment. If it was not you,{" "}
        <Link to="/settings/password" className="font-medium underline">
          change your password
        </Link>
        .
      </p>
    </Notice>
  );
}

function Fact(props: {
  readonly name: string;
  readonly wide?: boolean;
  readonly children: ReactNode;
}): ReactElement {
  const { name, wide = false, children } = props;
  return (
    <div className={`px-4 max-sm:py-3 ${wide ? "sm:col-span-3" : ""}`}>
      <dt className="text-sm text-ink-2">{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function NoSuchSession(): ReactElement {
  return (
    <>
      <PageHead
        title="No such session"
        lead="It may have ended a while ago, or it belongs to another account."
      />
      <Link to="/sessions" className={buttonClass()}>
        See your sessions
      </Link>
    </>
  );
}
