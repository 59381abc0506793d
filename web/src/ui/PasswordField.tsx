import { type KeyboardEvent, type ReactElement, useState } from "react";
import { TextField, type TextFieldProps } from "./TextField.tsx";

export type PasswordFieldProps = Omit<TextFieldProps, "type" | "end" | "spellCheck"> & {
  readonly autoComplete: "current-password" | "new-password";
};

/** A password: can be shown, and says when caps lock is on. */
export function PasswordField({ hint, ...props }: PasswordFieldProps): ReactElement {
  const [shown, setShown] = useState(false);
  const [capsLock, setCapsLock] = useState(false);

  function look(event: KeyboardEvent): void {
    setCapsLock(event.getModifierState("CapsLock"));
  }
  return (
    <TextField
      {...props}
      type={shown ? "text" : "password"}
      autoCapitalize="none"
      autoCorrect="off"
      spellCheck={false}
      hint={capsLock ? "Caps lock is on." : hint}
      onKeyDown={look}
      onKeyUp={look}
      end={
        <button
          type="button"
          aria-pressed={shown}
          onClick={() => setShown(!shown)}
          className="mr-1 h-8 rounded-control px-2 text-sm text-ink-2 transition-colors hover:bg-sunken hover:text-ink"
        >
          {shown ? "Hide" : "Show"}
        </button>
      }
    />
  );
}
