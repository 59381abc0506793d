import type { ReactElement, ReactNode } from "react";

/** A grey stand-in for a line of text; `width` in steps of the grid. */
const WIDTHS = { short: "w-24", middle: "w-40", long: "w-56 max-w-full" } as const;

export function SkeletonLine({
  width = "middle",
}: {
  readonly width?: keyof typeof WIDTHS;
}): ReactElement {
  return (
    <span className="flex h-[1lh] items-center">
      <span className={`h-3 rounded-control bg-sunken ${WIDTHS[width]}`} />
    </span>
  );
}

/** A grey stand-in for a sentence about as long as `children`: it takes as many lines. */
export function SkeletonText({ children }: { readonly children: string }): ReactElement {
  return (
    <p className="text-transparent select-none">
      <span className="box-decoration-clone rounded-control bg-sunken">{children}</span>
    </p>
  );
}

/** Skeletons come after 150 ms only: what is quicker than that needs none. */
export function Late({
  label,
  children,
}: {
  readonly label: string;
  readonly children: ReactNode;
}): ReactElement {
  return (
    <div role="status" className="animate-late">
      <span className="sr-only">{label}</span>
      <div aria-hidden>{children}</div>
    </div>
  );
}
