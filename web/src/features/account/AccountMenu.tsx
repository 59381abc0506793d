import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ChevronDown, KeyRound } from "lucide-react";
import type { ReactElement } from "react";
import { usePrivate } from "../../api/usePrivate.ts";
import { Popup, popupItemClass } from "../../ui/Popup.tsx";
import { account } from "./queries.ts";
import { ThemeChoice } from "./ThemeChoice.tsx";

/** Who is signed in, and what belongs to the account. On a phone it hangs at the window's edge. */
export function AccountMenu(): ReactElement {
  const { data } = useQuery(usePrivate(account));
  const email = data?.email ?? "";
  return (
    <Popup
      className="min-w-0 sm:relative"
      buttonClass="flex h-8 max-w-full items-center gap-2 px-2 pointer-coarse:h-10"
      panelClass="top-full right-4 mt-2 w-72 sm:right-0"
      button={
        <>
          <span
            aria-hidden
            className="flex size-6 shrink-0 items-center justify-center rounded-full bg-accent-soft text-xs font-semibold text-accent-text uppercase"
          >
            {email.charAt(0)}
          </span>
          <span className="sr-only">Account</span>
          <span className="max-w-40 min-w-24 truncate text-left max-sm:hidden">
            {email || <span className="block h-3 rounded-control bg-sunken" />}
          </span>
          <ChevronDown aria-hidden size={14} className="shrink-0 text-ink-3" />
        </>
      }
    >
      {(close) => (
        <>
          <p className="px-2 pt-1 pb-3 text-sm text-ink-2">
            Signed in as{" "}
            <span className="block truncate font-medium text-ink" title={email}>
              {email}
            </span>
          </p>
          <ThemeChoice />
          <Link to="/settings/password" onClick={close} className={`mt-2 ${popupItemClass}`}>
            <KeyRound aria-hidden size={16} className="text-ink-2" />
            Change password
          </Link>
        </>
      )}
    </Popup>
  );
}
