import type { ReactElement, ReactNode } from "react";
import { Button } from "../../ui/Button.tsx";
import { Checkbox } from "../../ui/Checkbox.tsx";
import { PasswordField } from "../../ui/PasswordField.tsx";
import { TextField } from "../../ui/TextField.tsx";
import { checkLogin, checkRegistration, PASSWORD_ADVICE, type SignInFields } from "./fields.ts";
import { Refused } from "./Refused.tsx";
import { useForm } from "./useForm.ts";
import { useRefusal } from "./useRefusal.ts";

export interface SignInFormProps {
  readonly kind: "login" | "register";
  /** Typed before, on the other page. */
  readonly email: string;
  readonly onEmail: (email: string) => void;
  readonly onSubmit: (fields: SignInFields) => Promise<void>;
  /** Shown where there is an account with this e-mail already. */
  readonly loginInstead?: ReactNode;
}

const WORDS = {
  login: { button: "Log in", busy: "Logging in…", check: checkLogin },
  register: { button: "Create account", busy: "Creating…", check: checkRegistration },
} as const;

/** E-mail, password, "Keep me signed in": the same for a login and for a new account. */
export function SignInForm({
  kind,
  email,
  onEmail,
  onSubmit,
  loginInstead,
}: SignInFormProps): ReactElement {
  const words = WORDS[kind];
  const { refusal, waitMs, attempt } = useRefusal();
  const { form, errors, isSubmitting } = useForm<SignInFields>({
    check: words.check,
    async send(fields) {
      const refused = await attempt(() => onSubmit(fields));
      return refused !== null && (refused.at === "email" ? "email" : "password");
    },
  });
  const at = (field: "email" | "password"): ReactNode =>
    errors[field] ?? (refusal?.at === field ? refusal.text : undefined);

  return (
    <form {...form} className="flex flex-col gap-4">
      {refusal?.at === "form" ? <Refused text={refusal.text} waitMs={waitMs} /> : null}
      <TextField
        label="Email"
        type="email"
        inputMode="email"
        autoComplete="username"
        autoCapitalize="none"
        spellCheck={false}
        autoFocus={email === ""}
        error={
          refusal?.taken ? (
            <>
              {refusal.text} {loginInstead}
            </>
          ) : (
            at("email")
          )
        }
        name="email"
        defaultValue={email}
        onChange={(event) => onEmail(event.target.value)}
      />
      <PasswordField
        label="Password"
        autoComplete={kind === "login" ? "current-password" : "new-password"}
        autoFocus={email !== ""}
        hint={kind === "register" ? PASSWORD_ADVICE : undefined}
        error={at("password")}
        name="password"
      />
      <Checkbox label="Keep me signed in" name="remember" defaultChecked />
      <Button
        type="submit"
        look="primary"
        size="large"
        wide
        disabled={waitMs > 0}
        busy={isSubmitting}
        busyLabel={words.busy}
      >
        {words.button}
      </Button>
    </form>
  );
}
