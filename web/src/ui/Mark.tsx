import type { ReactElement } from "react";

/** The baton, in two hands: mark.svg, in the theme's colour. */
export function Mark({ size = 20 }: { readonly size?: number }): ReactElement {
  return (
    <svg
      aria-hidden="true"
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      strokeWidth="5"
      strokeLinecap="round"
      className="shrink-0 stroke-accent"
    >
      <path d="M5 19l5-5" />
      <path d="M14 10l5-5" strokeOpacity=".5" />
    </svg>
  );
}
