import { type ReactElement, type ReactNode, useState } from "react";
import { Button } from "../../ui/Button.tsx";
import { Notice } from "../../ui/Notice.tsx";
import { PasswordField } from "../../ui/PasswordField.tsx";
import { type ChangeFields, checkChange, PASSWORD_ADVICE } from "./fields.ts";
import { Refused } from "./Refused.tsx";
import { useForm } from "./useForm.ts";
import { useRefusal } from "./useRefusal.ts";

export interface ChangePasswordFormProps {
  /** Tells password managers whose password this is. */
  readonly email: string;
  readonly onSubmit: (fields: ChangeFields) => Promise<void>;
}

export function ChangePasswordForm({ email, onSubmit }: ChangePasswordFormProps): ReactElement {
  const { refusal, waitMs, attempt } = useRefusal();
  const [done, setDone] = useState(false);
  const { form, errors, isSubmitting } = useForm<ChangeFields>({
    check: checkChange,
    async send(fields) {
      setDone(false);
      const refused = await attempt(() => onSubmit(fields));
      if (refused === null) {
        setDone(true);
        return true;
      }
      if (refused.at === "dialog") return false;
      return refused.at === "password" ? "newPassword" : "currentPassword";
    },
  });
  const refusedAt = (at: "current" | "password"): ReactNode =>
    refusal?.at === at ? refusal.text : undefined;

  return (
    <form {...form} className="flex flex-col gap-4">
      {refusal?.at === "form" ? <Refused text={refusal.text} waitMs={waitMs} /> : null}
      {done ? (
        <Notice tone="ok" role="status">
          Your password has been changed. You stay signed in here; every other session has ended.
        </Notice>
      ) : null}
      <input type="email" autoComplete="username" value={email} readOnly hidden />
      <PasswordField
        label="Current password"
        autoComplete="current-password"
        error={errors.currentPassword ?? refusedAt("current")}
        name="currentPassword"
      />
      <PasswordField
        label="New password"
        autoComplete="new-password"
        hint={PASSWORD_ADVICE}
        error={errors.newPassword ?? refusedAt("password")}
        name="newPassword"
      />
      <div>
        <Button
          type="submit"
          look="primary"
          size="large"
          disabled={waitMs > 0}
          busy={isSubmitting}
          busyLabel="Changing…"
        >
          Change password
        </Button>
      </div>
    </form>
  );
}
