import type { ReactElement } from "react";
import { Card } from "../../ui/Card.tsx";
import { Late, SkeletonLine } from "../../ui/Skeleton.tsx";

const FACTS = ["address", "logged in", "last active", "idle limit", "absolute limit"];

/** One session: what is known of it, and the beginning of its picture. */
export function SessionSkeleton(): ReactElement {
  return (
    <Late label="Loading this session">
      <div className="flex flex-col gap-6">
        <Card>
          <div className="divide-line max-sm:divide-y sm:grid sm:grid-cols-3 sm:gap-y-4 sm:py-4">
            {FACTS.map((fact) => (
              <div key={fact} className="px-4 max-sm:py-3">
                <div className="text-sm">
                  <SkeletonLine width="short" />
                </div>
                <SkeletonLine width="middle" />
              </div>
            ))}
          </div>
        </Card>
        <div>
          <div className="mb-2 flex h-8 items-center text-sm pointer-coarse:h-10">
            <SkeletonLine width="middle" />
          </div>
          <Card>
            <div className="px-6 py-8">
              <SkeletonLine width="long" />
            </div>
          </Card>
        </div>
      </div>
    </Late>
  );
}
