import { Link } from "@tanstack/react-router";
import type { ReactElement } from "react";
import { useEndOtherSessions } from "../features/sessions/queries.ts";
import { Button, buttonClass } from "../ui/Button.tsx";
import { Dialog, DialogActions } from "../ui/Dialog.tsx";

/** "No, that was not me": the two things that help, in the order in which they do. */
export function NotYouDialog({ onClose }: { readonly onClose: () => void }): ReactElement {
  const end = useEndOtherSessions();
  return (
    <Dialog title="If that was not you" onClose={onClose}>
      <ol className="mt-4 flex flex-col gap-4">
        <li className="flex flex-wrap items-center justify-between gap-3">
          <div className="min-w-0 flex-1 basis-40">
            <p className="font-medium">1. End all other sessions</p>
            <p className="text-sm text-ink-2" role="status">
              {end.isSuccess
                ? "Done. You are signed in here only."
                : end.isError
                  ? "That did not get through. Please try again."
                  : "Whoever else is in is out within seconds."}
            </p>
          </div>
          <Button
            look="danger"
            busy={end.isPending}
            busyLabel="Ending…"
            disabled={end.isSuccess}
            onClick={() => end.mutate()}
          >
            End all others
          </Button>
        </li>
        <li className="flex flex-wrap items-center justify-between gap-3">
          <div className="min-w-0 flex-1 basis-40">
            <p className="font-medium">2. Change your password</p>
            <p className="text-sm text-ink-2">Choose one that you use nowhere else.</p>
          </div>
          <Link to="/settings/password" className={buttonClass()}>
            Change password
          </Link>
        </li>
      </ol>
      <DialogActions>
        <Button look="quiet" onClick={onClose}>
          Close
        </Button>
      </DialogActions>
    </Dialog>
  );
}
