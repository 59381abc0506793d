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
          <div className="divide-y divide-line">
            {FACTS.map((fact) => (
              <div key={fact} className="flex flex-wrap gap-x-6 px-4 py-3">
                <span className="w-40">
                  <SkeletonLine width="short" />
                </span>
                <span className="min-w-0 flex-1 basis-56">
                  <SkeletonLine width="long" />
                </span>
              </div>
            ))}
          </div>
        </Card>
        <div>
          <div className="mb-2 text-sm">
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
