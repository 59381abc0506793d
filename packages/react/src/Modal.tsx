import { type ReactElement, type ReactNode, useLayoutEffect, useRef } from "react";

export interface ModalProps {
  readonly className: string | undefined;
  /** The id of what names it. */
  readonly title: string;
  readonly onCancel: () => void;
  readonly children: ReactNode;
}

/** A native dialog: the browser keeps the focus in it, and the page beneath inert. */
export function Modal({ className, title, onCancel, children }: ModalProps): ReactElement {
  const dialog = useRef<HTMLDialogElement>(null);
  // Closed while it is still in the page: only then the focus goes back to where it was.
  useLayoutEffect(() => {
    const { current } = dialog;
    current?.showModal();
    return () => current?.close();
  }, []);
  return (
    <dialog
      ref={dialog}
      className={className}
      aria-labelledby={title}
      onCancel={(event) => {
        event.preventDefault(); // whether it closes, its owner says
        onCancel();
      }}
    >
      {children}
    </dialog>
  );
}
