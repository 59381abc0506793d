import { useSession } from "@batonpass/react";
import { Link, useLocation } from "@tanstack/react-router";
import { Activity, FlaskConical, LayoutDashboard, MonitorSmartphone } from "lucide-react";
import type { ReactElement, ReactNode } from "react";
import { AccountMenu } from "../features/account/AccountMenu.tsx";
import { ExpiredDialog } from "../features/connection/ExpiredDialog.tsx";
import { UnreachableLine } from "../features/connection/UnreachableLine.tsx";
import { Button } from "../ui/Button.tsx";
import { Mark } from "../ui/Mark.tsx";
import { hasLab } from "./lab.ts";

const PAGES = [
  { to: "/", label: "Overview", Icon: LayoutDashboard },
  { to: "/sessions", label: "Sessions", Icon: MonitorSmartphone },
  { to: "/activity", label: "Activity", Icon: Activity },
  ...(hasLab ? ([{ to: "/lab", label: "Lab", Icon: FlaskConical }] as const) : []),
] as const;

/** Around every page of a signed-in user: the bar, the page, and what may come over it. */
export function Shell({ children }: { readonly children: ReactNode }): ReactElement {
  const { logout } = useSession();
  const { href, pathname } = useLocation();
  const isPicture = pathname === "/lab" || pathname.startsWith("/sessions/");
  return (
    <>
      <header className="sticky top-0 z-20 border-b border-line bg-bg">
        <div className="relative mx-auto flex h-12 max-w-wide items-center gap-2 px-4 sm:gap-6">
          <Link
            to="/"
            className="flex h-10 items-center gap-2 rounded-control font-semibold tracking-tight"
          >
            <Mark />
            Batonpass
          </Link>
          <nav
            aria-label="Pages"
            className="fixed inset-x-0 bottom-0 z-10 grid auto-cols-fr grid-flow-col border-t border-line bg-bg bottom-bar sm:static sm:flex sm:gap-1 sm:border-0"
          >
            {PAGES.map(({ to, label, Icon }) => (
              <Link
                key={to}
                to={to}
                activeOptions={{ exact: to === "/" }}
                activeProps={{ className: "text-accent-text sm:bg-sunken sm:text-ink" }}
                inactiveProps={{ className: "text-ink-2 hover:text-ink" }}
                className="flex h-12 flex-col items-center justify-center rounded-control text-xs font-medium transition-colors sm:h-8 sm:flex-row sm:px-3 sm:text-sm pointer-coarse:sm:h-10"
              >
                <Icon aria-hidden size={18} strokeWidth={1.75} className="sm:hidden" />
                {label}
              </Link>
            ))}
          </nav>
          <div className="ml-auto flex min-w-0 items-center gap-1">
            <AccountMenu />
            <Button look="quiet" onClick={() => void logout()}>
              Log out
            </Button>
          </div>
        </div>
        <UnreachableLine />
      </header>
      <main
        className={`mx-auto px-4 pt-6 pb-24 sm:pt-12 sm:pb-12 ${isPicture ? "max-w-wide" : "max-w-list"}`}
      >
        {children}
      </main>
      <ExpiredDialog returnTo={href} />
    </>
  );
}
