import { type ReactElement, type ReactNode, useEffect, useId, useRef, useState } from "react";

export interface PopupProps {
  /** What stands on the button. */
  readonly button: ReactNode;
  readonly buttonClass: string;
  /** Of the box around both, and of the panel: where it hangs, and how wide it is. */
  readonly className: string;
  readonly panelClass: string;
  /** Given what closes it. */
  readonly children: (close: () => void) => ReactNode;
}

/** A button and what it opens. Escape, a press beside it, or the focus leaving it closes it again. */
export function Popup({
  button,
  buttonClass,
  className,
  panelClass,
  children,
}: PopupProps): ReactElement {
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const opener = useRef<HTMLButtonElement>(null);
  const panelId = useId();

  /** By choice: the focus goes back to where it came from, or a dialog would later lose it. */
  function close(): void {
    setOpen(false);
    opener.current?.focus();
  }

  useEffect(() => {
    if (!open) return;
    function onPointer(event: PointerEvent): void {
      if (!box.current?.contains(event.target as Node)) setOpen(false);
    }
    document.addEventListener("pointerdown", onPointer);
    return () => document.removeEventListener("pointerdown", onPointer);
  }, [open]);

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: Escape closes what is inside, wherever the focus is in it
    <div
      ref={box}
      className={className}
      onKeyDown={(event) => {
        if (event.key === "Escape" && open) close();
      }}
      onBlur={(event) => {
        if (event.relatedTarget && !event.currentTarget.contains(event.relatedTarget))
          setOpen(false);
      }}
    >
      <button
        ref={opener}
        type="button"
        aria-expanded={open}
        aria-controls={panelId}
        onClick={() => setOpen(!open)}
        className={`rounded-control text-sm text-ink-2 transition-colors hover:bg-sunken hover:text-ink ${buttonClass}`}
      >
        {button}
      </button>
      <div
        id={panelId}
        hidden={!open}
        className={`absolute z-10 animate-appear rounded-card border border-line bg-surface p-2 shadow-float ${panelClass}`}
      >
        {children(close)}
      </div>
    </div>
  );
}

/** A line of a popup: a link's or a button's classes. */
export const popupItemClass =
  "flex h-8 w-full items-center gap-2 rounded-control px-2 text-left text-sm transition-colors hover:bg-sunken pointer-coarse:h-10";
