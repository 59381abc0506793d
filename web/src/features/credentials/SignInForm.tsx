import { valibotResolver } from "@hookform/resolvers/valibot";
import type { ReactElement, ReactNode } from "react";
import { useForm } from "react-hook-form";
import { Button } from "../../ui/Button.tsx";
import { Checkbox } from "../../ui/Checkbox.tsx";
import { PasswordField } from "../../ui/PasswordField.tsx";
import { TextField } from "../../ui/TextField.tsx";
import { LoginFields, RegisterFields, type SignInFields } from "./fields.ts";
import { Refused } from "./Refused.tsx";
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
  login: { button: "Log in", busy: "Logging in…", fields: LoginFields },
  register: { button: "Create account", busy: "Creating…", fields: RegisterFields },
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
  const { register, handleSubmit, setFocus, formState } = useForm<SignInFields>({
    resolver: valibotResolver(words.fields),
    defaultValues: { email, password: "", remember: true },
    reValidateMode: "onChange",
  });
  const { errors, isSubmitting } = formState;

  const submit = handleSubmit(async (fields) => {
    const refused = await attempt(() => onSubmit(fields));
    if (refused) setFocus(refused.at === "email" ? "email" : "password", { shouldSelect: true });
  });
  const at = (field: "email" | "password"): ReactNode =>
    errors[field]?.message ?? (refusal?.at === field ? refusal.text : undefined);

  return (
    <form noValidate method="post" onSubmit={submit} className="flex flex-col gap-4">
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
        {...register("email", { onChange: (event) => onEmail(event.target.value) })}
      />
      <PasswordField
        label="Password"
        autoComplete={kind === "login" ? "current-password" : "new-password"}
        autoFocus={email !== ""}
        hint={
          kind === "register" ? "8 characters or more. A sentence is easy to remember." : undefined
        }
        error={at("password")}
        {...register("password")}
      />
      <Checkbox label="Keep me signed in" {...register("remember")} />
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
