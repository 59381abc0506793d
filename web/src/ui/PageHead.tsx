import type { ReactElement, ReactNode } from "react";

export interface PageHeadProps {
  readonly title: string;
  readonly lead?: ReactNode;
  /** At the right: what can be done with the whole page. */
  readonly action?: ReactNode;
}

/** A page's heading, and its title in the browser's tab. */
export function PageHead({ title, lead, action }: PageHeadProps): ReactElement {
  return (
    <header className="mb-6">
      <title>{`${title} · Batonpass`}</title>
      <div className="flex min-h-8 items-center justify-between gap-4 pointer-coarse:min-h-10">
        <h1 className="min-w-0 text-xl font-semibold tracking-tight sm:text-2xl">{title}</h1>
        {action}
      </div>
      {lead ? <p className="mt-1 text-ink-2">{lead}</p> : null}
    </header>
  );
}
