import type { ReactElement } from "react";
import { Late, SkeletonLine } from "../../ui/Skeleton.tsx";

/** As tall and as wide as the rows that will come. */
export function EventSkeleton({ rows }: { readonly rows: number }): ReactElement {
  return (
    <Late label="Loading what happened">
      <ul className="divide-y divide-line">
        {Array.from({ length: rows }, (_, row) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: they are all the same
          <li key={row} className="flex gap-3 px-4 py-3">
            <span className="size-8 shrink-0 rounded-full bg-sunken" />
            <div className="min-w-0 flex-1">
              <SkeletonLine width={row % 2 ? "long" : "middle"} />
              <span className="block text-sm">
                <SkeletonLine width="middle" />
              </span>
            </div>
          </li>
        ))}
      </ul>
    </Late>
  );
}
