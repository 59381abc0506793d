import { useSession } from "@batonpass/react";
import { CloudOff } from "lucide-react";
import type { ReactElement } from "react";
import { Button } from "../../ui/Button.tsx";
import { wait } from "../../ui/time.ts";
import { useCountdown } from "../../ui/useCountdown.ts";

/** A quiet line while the server is away; the session is kept and tries again by itself. */
export function UnreachableLine(): ReactElement | null {
  const { snapshot, session } = useSession();
  const away = snapshot.status === "unreachable";
  const left = useCountdown(away ? snapshot.retryInMs : 0, snapshot);
  if (!away) return null;
  return (
    <div role="status" className="animate-appear border-b border-line bg-warn-soft">
      <div className="mx-auto flex min-h-10 max-w-wide flex-wrap items-center gap-x-3 gap-y-1 px-4 py-1">
        <CloudOff aria-hidden size={16} className="shrink-0 text-warn" />
        <p className="min-w-0 flex-1 text-sm tabular-nums">
          Can't reach the server. {/* not read out each second */}
          <span aria-hidden>{left > 0 ? `Trying again in ${wait(left)}. ` : "Trying again… "}</span>
          Nothing is lost.
        </p>
        <Button look="quiet" onClick={session.retry} disabled={left === 0}>
          Try now
        </Button>
      </div>
    </div>
  );
}
