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
    <header className="mb-6 flex flex-wrap items-start justify-between gap-x-6 gap-y-3">
      <title>{`${title} · Batonpass`}</title>
      <div className="min-w-0">
        <h1 className="text-xl font-semibold tracking-tight sm:text-2xl">{title}</h1>
        {lead ? <p className="mt-1 text-ink-2">{lead}</p> : null}
      </div>
      {action}
    </header>
  );
}
