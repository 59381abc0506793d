import type { ReactElement, ReactNode } from "react";
import type { SessionItem } from "../../api/routes.ts";
import { Button } from "../../ui/Button.tsx";
import { Dialog, DialogActions } from "../../ui/Dialog.tsx";
import { Notice } from "../../ui/Notice.tsx";
import { count } from "../../ui/time.ts";
import { useEndOtherSessions, useEndSession } from "./queries.ts";

const nameOf = (item: SessionItem): string => item.device ?? "an unknown device";

/** Asks before one session is ended, by its name. */
export function EndSessionDialog(props: {
  readonly item: SessionItem;
  readonly onClose: () => void;
}): ReactElement {
  const end = useEndSession();
  return (
    <EndDialog
      title={`End the session on ${nameOf(props.item)}?`}
      verb="End session"
      busy={end.isPending}
      failed={end.isError}
      onClose={props.onClose}
      onEnd={() => end.mutate(props.item.id, { onSuccess: props.onClose })}
    >
      Whoever uses it has to log in again.
    </EndDialog>
  );
}

/** Asks before every session but this one is ended. */
export function EndOthersDialog(props: {
  readonly others: readonly SessionItem[];
  readonly onClose: () => void;
}): ReactElement {
  const end = useEndOtherSessions();
  const names = [...new Set(props.others.map(nameOf))];
  const left = names.length - NAMED;
  const named = left > 1 ? [...names.slice(0, NAMED), count(left, "other device")] : names;
  return (
    <EndDialog
      title={`End ${count(props.others.length, "other session")}?`}
      verb="End all others"
      busy={end.isPending}
      failed={end.isError}
      onClose={props.onClose}
      onEnd={() => end.mutate(undefined, { onSuccess: props.onClose })}
    >
      {list.format(named)}: whoever uses them has to log in again. You stay signed in here.
    </EndDialog>
  );
}

const list = new Intl.ListFormat("en-GB");
const NAMED = 4; // of a hundred sessions nobody reads more

interface EndDialogProps {
  readonly title: string;
  readonly verb: string;
  readonly busy: boolean;
  readonly failed: boolean;
  readonly onClose: () => void;
  readonly onEnd: () => void;
  readonly children: ReactNode;
}

function EndDialog({
  title,
  verb,
  busy,
  failed,
  onClose,
  onEnd,
  children,
}: EndDialogProps): ReactElement {
  return (
    <Dialog title={title} onClose={onClose}>
      <p className="mt-2 text-ink-2">{children}</p>
      {failed ? (
        <div className="mt-4">
          <Notice tone="warn" role="alert">
            That did not get through. Nothing has changed; please try again.
          </Notice>
        </div>
      ) : null}
      <DialogActions>
        <Button onClick={onClose} disabled={busy}>
          Cancel
        </Button>
        <Button look="danger" busy={busy} busyLabel="Ending…" onClick={onEnd}>
          {verb}
        </Button>
      </DialogActions>
    </Dialog>
  );
}
