import type { ReactElement } from "react";
import { Card } from "../../ui/Card.tsx";
import { Late, SkeletonLine, SkeletonText } from "../../ui/Skeleton.tsx";

const LIMITS =
  "Signed in until 4 December, longer whenever you use it, until 27 December at the latest.";

/** As tall and as wide as the card of this device. */
export function ThisDeviceSkeleton({ lines }: { readonly lines: 1 | 2 }): ReactElement {
  return (
    <Late label="Loading this device">
      <Card>
        <div className="flex gap-4 p-4">
          <span className="size-10 shrink-0 rounded-full bg-sunken" />
          <div className="min-w-0 flex-1">
            <span className="block text-lg">
              <SkeletonLine width="long" />
            </span>
            <SkeletonLine width="middle" />
            <div className="mt-3 border-t border-line pt-3 text-sm">
              <SkeletonText>{LIMITS}</SkeletonText>
              {lines > 1 ? <SkeletonLine width="middle" /> : null}
            </div>
          </div>
        </div>
      </Card>
    </Late>
  );
}

export function SessionRowsSkeleton({
  rows,
  limits = false,
}: {
  readonly rows: number;
  /** On a phone they are lines of their own. */
  readonly limits?: boolean;
}): ReactElement {
  return (
    <Late label="Loading your other sessions">
      <ul className="divide-y divide-line">
        {Array.from({ length: rows }, (_, row) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: they are all the same
          <li key={row} className="flex gap-3 px-4 py-3">
            <span className="size-8 shrink-0 rounded-full bg-sunken" />
            <div className="min-w-0 flex-1">
              <SkeletonLine width="middle" />
              <span className="block text-sm">
                <SkeletonLine width="long" />
              </span>
              {limits ? (
                <span className="mt-1 block text-xs sm:hidden">
                  <SkeletonLine width="middle" />
                  <SkeletonLine width="middle" />
                </span>
              ) : null}
            </div>
          </li>
        ))}
      </ul>
    </Late>
  );
}

export function SessionsSkeleton(): ReactElement {
  return (
    <div className="flex flex-col gap-6">
      <ThisDeviceSkeleton lines={1} />
      <section>
        <h2 className="mb-2 text-sm font-medium text-ink-2">Other sessions</h2>
        <Card>
          <SessionRowsSkeleton rows={3} limits />
        </Card>
      </section>
    </div>
  );
}
