import type { ReactElement } from "react";
import { Mark } from "../ui/Mark.tsx";

/** In place of the login where that cannot be fetched: a logout shows without the network too (S-SES-8). */
export function LoggedOut(): ReactElement {
  return (
    <main className="flex min-h-dvh flex-col items-center justify-center gap-4 px-4 text-center">
      <title>Logged out · Batonpass</title>
      <Mark size={32} />
      <h1 className="text-xl font-semibold tracking-tight">You are logged out</h1>
      <p className="text-ink-2">You are offline. The login comes back when you do.</p>
    </main>
  );
}
