import { Link } from "@tanstack/react-router";
import type { ReactElement } from "react";
import { buttonClass } from "../ui/Button.tsx";
import { Mark } from "../ui/Mark.tsx";

export function NotFoundPage(): ReactElement {
  return (
    <main className="flex min-h-dvh flex-col items-center justify-center gap-4 px-4 text-center">
      <title>Not found · Batonpass</title>
      <Mark size={32} />
      <h1 className="text-xl font-semibold tracking-tight">There is no page here</h1>
      <p className="text-ink-2">The address may be mistyped, or the page has moved.</p>
      <Link to="/" className={buttonClass("secondary", "large")}>
        Go to the overview
      </Link>
    </main>
  );
}
