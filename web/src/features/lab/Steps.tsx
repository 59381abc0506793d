import { type ReactElement, type ReactNode, useId } from "react";
import { Button, buttonClass } from "../../ui/Button.tsx";
import type { Lab, StepName } from "./useLab.ts";

/** The story, a button each: what will happen, and what it shows. */
export function Steps({ lab, idle }: { readonly lab: Lab; readonly idle: boolean }): ReactElement {
  const { busy, canReplay, run } = lab;
  const press =
    (name: StepName, label: string, disabled = false) =>
    (describedBy: string) => (
      <Button
        wide
        aria-describedby={describedBy}
        disabled={idle || busy !== null || disabled}
        onClick={() => run(name)}
      >
        {label}
      </Button>
    );
  return (
    <ol className="flex flex-col gap-4">
      <Step button={press("expire", "1 · Let the token expire")}>
        From now on this tab's access token arrives damaged: the server refuses it, as when its time
        is over.
      </Step>
      <Step button={press("fire", "2 · Fire 20 requests at once")}>
        With a token that is over all are refused, one refresh serves them all, and each is sent
        again: nobody notices.
      </Step>
      <Step button={press("lose", "3 · Lose the next answer")}>
        The server spends the refresh token, and its answer never arrives. The client asks again
        with the spent one, and stays signed in.
      </Step>
      <Step button={press("lose-long", "4 · Lose one, and come back late")}>
        The same, and an hour passes before the client can ask again. The server knows that nothing
        later arrived: it keeps you signed in.
      </Step>
      <Step
        button={(describedBy) => (
          <a
            href="/lab"
            target="_blank"
            rel="noopener"
            aria-describedby={describedBy}
            className={`${buttonClass()} w-full`}
          >
            5 · Open a second tab
          </a>
        )}
      >
        It asks this tab for its token: no second refresh, no race. Fire requests there, and watch
        them here.
      </Step>
      <Step button={press("steal", "6 · Steal the token")}>
        Somebody copies your cookie. Then two hours go by in which you go on working, so that the
        copy is spent.
      </Step>
      <Step button={press("replay", "7 · Come back as the thief", !canReplay)}>
        The spent copy is presented from another device. The server sees a theft and ends the
        session, and this page says so.
      </Step>
    </ol>
  );
}

function Step(props: {
  readonly button: (describedBy: string) => ReactNode;
  readonly children: ReactNode;
}): ReactElement {
  const id = useId();
  return (
    <li>
      {props.button(id)}
      <p id={id} className="mt-1 text-sm text-ink-2">
        {props.children}
      </p>
    </li>
  );
}
