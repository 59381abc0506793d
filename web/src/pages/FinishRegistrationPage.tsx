import { Link, useNavigate } from "@tanstack/react-router";
import { type ReactElement, useEffect, useState } from "react";
import { finishRegistration } from "../api/registration.ts";
import { FinishRegistration } from "../features/credentials/FinishRegistration.tsx";
import { tokenIn } from "../features/credentials/link-token.ts";
import { SignInCard } from "../features/credentials/SignInCard.tsx";
import { buttonClass } from "../ui/Button.tsx";
import { linkClass } from "../ui/link.ts";

const WIDE = `${buttonClass("primary", "large")} w-full`;

/** Where the link of a registration's mail leads. Its token leaves the address bar and the history. */
export function FinishRegistrationPage(): ReactElement {
  const [token] = useState(() => tokenIn(window.location.hash));
  const navigate = useNavigate();

  useEffect(() => {
    if (window.location.hash !== "")
      void navigate({ to: "/register/finish", hash: "", replace: true });
  }, [navigate]);

  return (
    <SignInCard
      title="Finish your account"
      foot={
        <>
          Have an account?{" "}
          <Link to="/login" className={linkClass}>
            Log in
          </Link>
        </>
      }
    >
      <FinishRegistration
        token={token}
        finish={finishRegistration}
        logIn={
          <Link to="/login" className={WIDE}>
            Log in
          </Link>
        }
        askAgain={
          <Link to="/register" className={WIDE}>
            Create account
          </Link>
        }
      />
    </SignInCard>
  );
}
