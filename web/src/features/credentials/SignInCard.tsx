import type { ReactElement, ReactNode } from "react";
import { Card } from "../../ui/Card.tsx";
import { Mark } from "../../ui/Mark.tsx";

export interface SignInCardProps {
  readonly title: string;
  readonly children: ReactNode;
  /** Below the card: the way to the other page. */
  readonly foot: ReactNode;
}

/** One card in the optical middle of the page; what it says more pushes nothing up. */
export function SignInCard({ title, children, foot }: SignInCardProps): ReactElement {
  return (
    <main className="flex min-h-dvh flex-col items-center px-4 pt-optical pb-12">
      <title>{`${title} · Batonpass`}</title>
      <div className="w-full max-w-form">
        <div className="mb-6 flex flex-col items-center gap-3">
          <Mark size={32} />
          <h1 className="text-xl font-semibold tracking-tight">{title}</h1>
        </div>
        <Card>
          <div className="p-6">{children}</div>
        </Card>
        <p className="mt-6 text-center text-ink-2">{foot}</p>
      </div>
    </main>
  );
}
