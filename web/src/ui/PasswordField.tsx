import { ArrowBigUp } from "lucide-react";
import { type KeyboardEvent, type ReactElement, useState } from "react";
import { TextField, type TextFieldProps } from "./TextField.tsx";

export type PasswordFieldProps = Omit<TextFieldProps, "type" | "end" | "spellCheck" | "notice"> & {
  readonly autoComplete: "current-password" | "new-password";
};

/**
 * A password: can be shown, and says when caps lock is on. Nothing stands in the way of pasting or of
 * a password manager (S-PW-6).
 */
export function PasswordField({ onBlur, ...props }: PasswordFieldProps): ReactElement {
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
      onKeyDown={look}
      onKeyUp={look}
      onBlur={(event) => {
        setCapsLock(false); // elsewhere it does no harm
        onBlur?.(event);
      }}
      notice={
        <div role="status">
          {capsLock ? (
            <p className="mt-2 flex items-center gap-1 text-sm text-warn">
              <ArrowBigUp aria-hidden size={16} />
              Caps lock is on.
            </p>
          ) : null}
        </div>
      }
      end={
        <button
          type="button"
          onClick={() => setShown(!shown)}
          className="mr-1 h-8 rounded-control px-2 text-sm text-ink-2 transition-colors hover:bg-sunken hover:text-ink pointer-coarse:h-10"
        >
          {shown ? "Hide" : "Show"}
        </button>
      }
    />
  );
}
