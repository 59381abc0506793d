import { SessionExpired } from "@batonpass/react";
import { Link } from "@tanstack/react-router";
import type { ReactElement } from "react";
import { buttonClass } from "../../ui/Button.tsx";
import { Dialog, DialogActions } from "../../ui/Dialog.tsx";
import { whyExpired } from "./why-expired.ts";

/** Over the page, which stays as it is: the session is over, why, and the way back. */
export function ExpiredDialog({ returnTo }: { readonly returnTo: string }): ReactElement {
  return (
    <SessionExpired>
      {({ code, reason }) => (
        <Dialog title="Your session has expired" alert>
          <p className="mt-2 text-ink-2">{whyExpired(code, reason)}</p>
          <DialogActions>
            <Link
              to="/login"
              search={{ return_to: returnTo }}
              className={buttonClass("primary", "large")}
            >
              Log in
            </Link>
          </DialogActions>
        </Dialog>
      )}
    </SessionExpired>
  );
}
