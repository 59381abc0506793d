import type { EndCode, EndReason } from "@batonpass/client";
import { type ReactElement, type ReactNode, useEffect, useId, useRef } from "react";
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
  if (snapshot.status !== "expired") return null;
  const { code, reason } = snapshot;
  const loginUrl = session.loginUrl();
  if (isHere(loginUrl)) return null;
  return children ? (
    children({ loginUrl, code, reason })
  ) : (
    <ExpiredDialog loginUrl={loginUrl} className={className} />
  );
}

function isHere(url: string): boolean {
  const { origin, pathname } = new URL(url, location.href);
  return origin === location.origin && pathname === location.pathname;
}

function ExpiredDialog(props: {
  readonly loginUrl: string;
  readonly className: string | undefined;
}): ReactElement {
  const dialog = useRef<HTMLDialogElement>(null);
  const title = useId();
  useEffect(() => {
    const { current } = dialog;
    current?.showModal(); // traps the focus, makes the page beneath inert
    return () => current?.close();
  }, []);
  return (
    // Escape would leave a dead page without a word: the dialog stays until the login.
    <dialog
      ref={dialog}
      className={props.className}
      aria-labelledby={title}
      onCancel={(event) => event.preventDefault()}
    >
      <div role="alert">
        <p id={title}>Your session has expired</p>
        <a href={props.loginUrl}>Log in</a>
      </div>
    </dialog>
  );
}
