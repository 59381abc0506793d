import type { EndCode, EndReason } from "@batonpass/client";
import { type ReactNode, useId } from "react";
import { isHere } from "./login-page.ts";
import { Modal } from "./Modal.tsx";
import { useSession } from "./useSession.ts";

export interface ExpiredProps {
  /** Leads back to the page one is on. */
  readonly loginUrl: string;
  readonly code: EndCode;
  readonly reason: EndReason | null;
}

export interface SessionExpiredProps {
  /** Your own alert; default: a native `<dialog>`. */
  readonly children?: (expired: ExpiredProps) => ReactNode;
  /** Class of the default dialog. */
  readonly className?: string;
}

/** Says that the session is over; nothing while it is not, nor on the login page, where its link leads. */
export function SessionExpired({ children, className }: SessionExpiredProps): ReactNode {
  const { snapshot, session } = useSession();
  const title = useId();
  if (snapshot.status !== "expired") return null;
  const { code, reason } = snapshot;
  const loginUrl = session.loginUrl();
  if (isHere(loginUrl)) return null;
  if (children) return children({ loginUrl, code, reason });
  return (
    // Escape would leave a dead page without a word: the dialog stays until the login.
    <Modal className={className} title={title} onCancel={() => {}}>
      <div role="alert">
        <p id={title}>Your session has expired</p>
        <a href={loginUrl}>Log in</a>
      </div>
    </Modal>
  );
}
