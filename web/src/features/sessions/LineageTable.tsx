import type { ReactElement } from "react";
import type { LineageStep } from "../../api/routes.ts";
import { Empty } from "../../ui/Empty.tsx";
import { Time } from "../../ui/Time.tsx";
import { lineageStep } from "./lineage.ts";
import { accessUntil, type Life } from "./lineage-picture.ts";

export interface LineageTableProps {
  /** Those that can be seen. */
  readonly steps: readonly LineageStep[];
  readonly life: Life;
  /** Only a part: "2 days ago" would say nothing any more. */
  readonly isPart: boolean;
}

/** A session's life, step by step, newest first. */
export function LineageTable({ steps, life, isPart }: LineageTableProps): ReactElement {
  if (steps.length === 0) return <Empty>Nothing happened in this part of it.</Empty>;
  return (
    <div className="relative overflow-x-auto">
      <table className="w-full text-left text-sm">
        <thead className="text-ink-3">
          <tr>
            <th scope="col" className="px-4 py-2 font-medium">
              <span className="max-sm:sr-only">Generation</span>
              <span aria-hidden className="sm:hidden">
                No.
              </span>
            </th>
            <th scope="col" className="px-4 py-2 font-medium max-sm:w-full max-sm:px-0">
              What happened
            </th>
            <th scope="col" className="w-60 px-4 py-2 font-medium max-sm:hidden">
              Where
            </th>
            <th scope="col" className="px-4 py-2 text-right font-medium">
              When
            </th>
            <th scope="col" className="w-32 px-4 py-2 text-right font-medium max-sm:p-0">
              <span className="max-sm:sr-only">Access until</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {steps.toReversed().map((step) => (
            <tr
              key={`${step.generation} ${step.kind} ${step.at}`}
              className="border-t border-line align-top"
            >
              <td className="px-4 py-2 text-ink-2">{step.generation}</td>
              <td
                className={`px-4 py-2 max-sm:px-0 ${step.kind === "reused" ? "font-medium text-danger" : ""}`}
              >
                {lineageStep(step.kind)}
                <span className="block text-ink-2 sm:hidden">{where(step)}</span>
              </td>
              <td className="px-4 py-2 text-ink-2 max-sm:hidden">{where(step)}</td>
              <td
                className={`px-4 py-2 text-right text-ink-2 ${isPart ? "max-sm:min-w-32 sm:whitespace-nowrap" : "whitespace-nowrap"}`}
              >
                <Time at={step.at} as={isPart ? "past" : "ago"} />
              </td>
              <td className="px-4 py-2 text-right whitespace-nowrap text-ink-2 max-sm:p-0">
                <span className="max-sm:sr-only">
                  <AccessUntil at={accessUntil(step, life)} />
                </span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const AccessUntil = ({ at }: { readonly at: number | null }): ReactElement | null =>
  at === null ? null : <Time at={new Date(at).toISOString()} as="hour" />;

const where = ({ device, ip }: LineageStep): string => [device, ip].filter(Boolean).join(" · ");
