import type { ButtonHTMLAttributes, ReactElement, ReactNode } from "react";

export type ButtonLook = "primary" | "secondary" | "danger" | "quiet";
export type ButtonSize = "small" | "large";

const BASE =
  "inline-flex items-center justify-center gap-2 rounded-control font-medium whitespace-nowrap select-none transition-colors disabled:cursor-default disabled:opacity-55 pointer-coarse:min-h-10 pointer-coarse:min-w-10";

const LOOKS: Readonly<Record<ButtonLook, string>> = {
  primary: "bg-accent text-accent-ink not-disabled:hover:bg-accent-strong",
  secondary: "border border-line bg-surface text-ink not-disabled:hover:bg-sunken",
  danger: "bg-danger text-danger-ink not-disabled:hover:bg-danger-strong",
  quiet: "text-ink-2 not-disabled:hover:bg-sunken not-disabled:hover:text-ink",
};

const SIZES: Readonly<Record<ButtonSize, string>> = {
  small: "h-8 px-3 text-sm",
  large: "h-10 px-4 text-base",
};

/** A button's classes, for links that look like one. */
export const buttonClass = (look: ButtonLook = "secondary", size: ButtonSize = "small"): string =>
  `${BASE} ${LOOKS[look]} ${SIZES[size]}`;

export interface ButtonProps extends Omit<ButtonHTMLAttributes<HTMLButtonElement>, "className"> {
  readonly look?: ButtonLook;
  readonly size?: ButtonSize;
  readonly wide?: boolean;
  /** At work: cannot be pressed, and says `busyLabel`. */
  readonly busy?: boolean;
  readonly busyLabel?: string; // the label itself has to be text, then
  readonly children: ReactNode;
}

export function Button({
  look,
  size,
  wide = false,
  busy = false,
  busyLabel,
  children,
  type = "button",
  ...rest
}: ButtonProps): ReactElement {
  return (
    <button
      {...rest}
      type={type}
      disabled={busy || rest.disabled}
      className={`${buttonClass(look, size)} ${wide ? "w-full" : ""}`}
    >
      {busyLabel === undefined ? (
        children
      ) : (
        // The label that is not shown lends its width, and is in nobody's reading of the button.
        <span className="lends-width grid" data-other={busy ? String(children) : busyLabel}>
          {busy ? busyLabel : children}
        </span>
      )}
    </button>
  );
}
