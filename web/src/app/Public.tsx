import { useSession } from "@batonpass/react";
import { Outlet, useRouter } from "@tanstack/react-router";
import { type ReactElement, useEffect } from "react";
import { DraftEmail } from "../pages/DraftEmail.tsx";

/** The login and its neighbour. Whoever is signed in already, here or in another tab, goes on. */
export function Public({ returnTo }: { readonly returnTo: string }): ReactElement | null {
  const { status, userId } = useSession();
  const { navigate, preloadRoute } = useRouter();
  const signedIn = userId !== null && status !== "expired";

  useEffect(() => {
    if (signedIn) void navigate({ href: returnTo, replace: true });
  }, [signedIn, returnTo, navigate]);

  // What comes after the login is fetched while it is filled in: the form itself need not wait.
  useEffect(() => {
    const preload = (): void => void preloadRoute({ to: "/" });
    document.addEventListener("input", preload, { once: true });
    return () => document.removeEventListener("input", preload);
  }, [preloadRoute]);

  if (signedIn || status === "booting") return null;
  return (
    <DraftEmail>
      <Outlet />
    </DraftEmail>
  );
}
