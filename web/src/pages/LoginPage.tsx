import { useSession } from "@batonpass/react";
import { Link, useSearch } from "@tanstack/react-router";
import type { ReactElement } from "react";
import { SignInCard } from "../features/credentials/SignInCard.tsx";
import { SignInForm } from "../features/credentials/SignInForm.tsx";
import { linkClass } from "../ui/link.ts";
import { useDraftEmail } from "./DraftEmail.tsx";

export function LoginPage(): ReactElement {
  const { session } = useSession();
  const search = useSearch({ from: "/public/login" });
  const [email, setEmail] = useDraftEmail();
  return (
    <SignInCard
      title="Log in"
      foot={
        <>
          New here?{" "}
          <Link to="/register" search={search} className={linkClass}>
            Create account
          </Link>
        </>
      }
    >
      <SignInForm kind="login" email={email} onEmail={setEmail} onSubmit={session.login} />
    </SignInCard>
  );
}
