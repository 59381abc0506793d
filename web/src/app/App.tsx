import { SessionProvider } from "@batonpass/react";
import { RouterProvider } from "@tanstack/react-router";
import type { ReactElement } from "react";
import { session } from "../api/session.ts";
import { router } from "./router.tsx";

export function App(): ReactElement {
  return (
    <SessionProvider session={session}>
      <RouterProvider router={router} />
    </SessionProvider>
  );
}
