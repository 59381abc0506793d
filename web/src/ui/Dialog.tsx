import { type ReactElement, type ReactNode, useId, useLayoutEffect, useRef } from "react";

export interface DialogProps {
  readonly title: string;
  readonly children: ReactNode;
  /** Escape or a click beside it; left out: the dialog stays until it goes away by itself. */
  readonly onClose?: () => void;
  /** Tells screen readers at once, as an alert. */
  readonly alert?: boolean;
}

/** A native modal dialog: the browser keeps the focus in it, and the page beneath still. */
export function Dialog({ title, children, onClose, alert = false }: DialogProps): ReactElement {
  const ref = useRef<HTMLDialogElement>(null);
  const titleId = useId();

  // Closed while it is still in the page: only then the focus goes back to where it was.
  useLayoutEffect(() => {
    const dialog = ref.current;
    if (dialog && !dialog.open) dialog.showModal();
    return () => dialog?.close();
  }, []);

  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape is the key for it; the browser sends `cancel`
    <dialog
      ref={ref}
      aria-labelledby={titleId}
      onCancel={(event) => {
        event.preventDefault();
        onClose?.();
      }}
      onClick={(event) => {
        if (event.target === ref.current) onClose?.();
      }}
      className="m-auto dialog-width animate-appear rounded-card border border-line bg-surface text-ink shadow-float"
    >
      <div role={alert ? "alert" : undefined} className="p-6">
        <h2 id={titleId} className="text-lg font-semibold tracking-tight">
          {title}
        </h2>
        {children}
      </div>
    </dialog>
  );
}

/** The buttons at a dialog's end; the one that does it last. */
export function DialogActions({ children }: { readonly children: ReactNode }): ReactElement {
  return <div className="mt-6 flex flex-wrap justify-end gap-2">{children}</div>;
}
