import type { ReactElement, ReactNode } from "react";

/** A surface on the page: white on grey by day, grey on black by night. */
export function Card({
  children,
  label,
}: {
  readonly children: ReactNode;
  readonly label?: string;
}): ReactElement {
  return (
    <section aria-label={label} className="rounded-card border border-line bg-surface">
      {children}
    </section>
  );
}
