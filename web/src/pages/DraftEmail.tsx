import { createContext, type ReactElement, type ReactNode, use, useState } from "react";

type Draft = readonly [email: string, set: (email: string) => void];

const Context = createContext<Draft>(["", () => {}]);

/** Keeps the e-mail that was typed on one of the two pages for the other; in memory, in no address. */
export function DraftEmail({ children }: { readonly children: ReactNode }): ReactElement {
  return <Context value={useState("")}>{children}</Context>;
}

export const useDraftEmail = (): Draft => use(Context);
