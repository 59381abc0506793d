import type { ReactElement, ReactNode } from "react";

/** What will be here once there is something. */
export function Empty({ children }: { readonly children: ReactNode }): ReactElement {
  return <p className="px-4 py-8 text-center text-ink-2">{children}</p>;
}
