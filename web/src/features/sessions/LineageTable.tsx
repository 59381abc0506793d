import type { ReactElement } from "react";
import type { LineageStep } from "../../api/routes.ts";
import { Time } from "../../ui/Time.tsx";
import { lineageStep } from "./lineage.ts";

/** A session's life, step by step, newest first. */
export function LineageTable({ steps }: { readonly steps: readonly LineageStep[] }): ReactElement {
  return (
    <div className="overflow-x-auto">
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
              <td className="px-4 py-2 text-right whitespace-nowrap text-ink-2">
                <Time at={step.at} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const where = ({ device, ip }: LineageStep): string => [device, ip].filter(Boolean).join(" · ");
