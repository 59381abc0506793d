import { useSession } from "@batonpass/react";
import { Link, useSearch } from "@tanstack/react-router";
import { type ReactElement, useState } from "react";
import type { SignInFields } from "../features/credentials/fields.ts";
import { SignInCard } from "../features/credentials/SignInCard.tsx";
import { SignInForm } from "../features/credentials/SignInForm.tsx";
import { linkClass } from "../ui/link.ts";
import { Notice } from "../ui/Notice.tsx";
import { useDraftEmail } from "./DraftEmail.tsx";

/** A new account; whoever made it is logged in at once, or reads mail first where the server wants that. */
export function RegisterPage(): ReactElement {
  const { session } = useSession();
  const search = useSearch({ from: "/public/register" });
  const [email, setEmail] = useDraftEmail();
  const [done, setDone] = useState<"mailed" | "created" | null>(null);

  async function create({ email, password, remember }: SignInFields): Promise<void> {
    const { status } = await session.register({ email, password });
    if (status === "mailed") return setDone("mailed");
    try {
      await session.login({ email, password, remember });
    } catch {
      setDone("created"); // the account is there: only the login is left, and can be tried again
    }
  }

  return (
    <SignInCard
      title="Create account"
      foot={
        <>
          Have an account?{" "}
          <Link to="/login" search={search} className={linkClass}>
            Log in
          </Link>
        </>
      }
    >
      {done === null ? (
        <SignInForm
          kind="register"
          email={email}
          onEmail={setEmail}
          onSubmit={create}
          loginInstead={
            <Link to="/login" search={search} className={linkClass}>
              Log in instead
            </Link>
          }
        />
      ) : (
        <Notice tone="ok" role="status">
          {done === "mailed"
            ? `We sent a mail to ${email}. Its link finishes your account.`
            : "Your account is ready. Logging in did not get through just now: please log in below."}
        </Notice>
      )}
    </SignInCard>
  );
}
