import { useSession } from "@batonpass/react";
import { type ReactElement, useState } from "react";
import { Steps } from "../features/lab/Steps.tsx";
import { TimelineList } from "../features/lab/TimelineList.tsx";
import { useLab } from "../features/lab/useLab.ts";
import { Card } from "../ui/Card.tsx";
import { Notice } from "../ui/Notice.tsx";
import { PageHead } from "../ui/PageHead.tsx";

/** Break a session on purpose, step by step. In development only: the server has its half nowhere else. */
export function LabPage(): ReactElement {
  const { snapshot } = useSession();
  const [shown, setShown] = useState<string | null>(null);
  const now = "sessionId" in snapshot ? snapshot.sessionId : shown;
  if (now !== shown) setShown(now); // another session begins with an empty timeline
  return (
    <>
      <PageHead
        title="Lab"
        lead="Harm this session on purpose, and watch what the browser and the server decide. The requests and the decisions are real; only the hours and the thief's address are made up."
      />
      <Bench key={now} />
    </>
  );
}

function Bench(): ReactElement {
  const { status } = useSession();
  const lab = useLab();
  const idle = status !== "authenticated" && status !== "refreshing";
  return (
    <div className="grid items-start gap-6 sm:grid-cols-[1fr_2fr]">
      <section aria-label="Steps" className="sm:sticky sm:top-18">
        <Steps lab={lab} idle={idle} />
        {lab.failed ? (
          <div className="mt-4">
            <Notice tone="warn" role="alert">
              This step did not get through. If the server was started anew, steal the token again.
            </Notice>
          </div>
        ) : null}
      </section>
      <section>
        <h2 className="sr-only">What happens</h2>
        <Card>
          <TimelineList rows={lab.rows} />
        </Card>
      </section>
    </div>
  );
}
