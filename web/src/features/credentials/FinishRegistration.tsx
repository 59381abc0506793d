import { type ReactElement, type ReactNode, useState } from "react";
import { Button } from "../../ui/Button.tsx";
import { Notice } from "../../ui/Notice.tsx";
import { Refused } from "./Refused.tsx";
import { useRefusal } from "./useRefusal.ts";

export interface FinishRegistrationProps {
  /** Null: the link has none. */
  readonly token: string | null;
  readonly finish: (token: string) => Promise<void>;
  /** Shown once the account is there. */
  readonly logIn: ReactNode;
  /** Shown where the link opens nothing. */
  readonly askAgain: ReactNode;
}

const GONE =
  "This link has expired, or was used already. If you finished your account before, just log in; otherwise ask for a new link.";

/**
 * The last step of an account. It waits for a press of the button: programs that open the links of
 * a mail to look at them, scripts and all, would else say yes in its reader's place.
 */
export function FinishRegistration({
  token,
  finish,
  logIn,
  askAgain,
}: FinishRegistrationProps): ReactElement {
  const { refusal, waitMs, attempt } = useRefusal();
  const [state, setState] = useState<"waiting" | "busy" | "done" | "gone">(
    token === null ? "gone" : "waiting",
  );

  async function press(token: string): Promise<void> {
    setState("busy");
    const refused = await attempt(() => finish(token));
    if (refused === null) setState("done");
    else setState(refused.gone ? "gone" : "waiting");
  }

  if (state === "done")
    return (
      <div className="flex flex-col gap-4">
        <Notice tone="ok" role="status">
          Your account is ready. Log in with the password you chose.
        </Notice>
        {logIn}
      </div>
    );
  if (state === "gone" || token === null)
    return (
      <div className="flex flex-col gap-4">
        <Notice tone="warn" role="alert">
          {GONE}
        </Notice>
        {askAgain}
      </div>
    );
  return (
    <div className="flex flex-col gap-4">
      {refusal ? <Refused text={refusal.text} waitMs={waitMs} /> : null}
      <p className="text-ink-2">
        One more step: your address is confirmed, and your account is created, when you press the
        button.
      </p>
      <Button
        look="primary"
        size="large"
        wide
        autoFocus
        disabled={waitMs > 0}
        busy={state === "busy"}
        busyLabel="Creating…"
        onClick={() => void press(token)}
      >
        Create account
      </Button>
    </div>
  );
}
