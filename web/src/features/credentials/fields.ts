/** What the forms ask for before they ask the server, which has the last word. Pure. */
import type { Checked } from "./useForm.ts";

const MIN_PASSWORD = 8; // NIST SP 800-63B-4 §3.1.1.2, ASVS V6.2.1; as on the server

/** S-PW-1: 8 are enough beside throttles; NIST wants 15 where a password is all there is. */
export const PASSWORD_ADVICE =
  "8 characters or more; with 15 it is hard to guess. A sentence is easy to remember.";

export interface SignInFields {
  readonly email: string;
  readonly password: string;
  readonly remember: boolean;
}

export interface ChangeFields {
  readonly currentPassword: string;
  readonly newPassword: string;
}

export function checkLogin(typed: FormData): Checked<SignInFields> {
  const fields = signInFields(typed);
  const { email, password } = fields;
  return {
    fields,
    errors: { email: wrongEmail(email), password: missing(password, "Enter your password.") },
  };
}

export function checkRegistration(typed: FormData): Checked<SignInFields> {
  const fields = signInFields(typed);
  const { email, password } = fields;
  return { fields, errors: { email: wrongEmail(email), password: tooShort(password) } };
}

export function checkChange(typed: FormData): Checked<ChangeFields> {
  const currentPassword = text(typed, "currentPassword");
  const newPassword = text(typed, "newPassword");
  return {
    fields: { currentPassword, newPassword },
    errors: {
      currentPassword: missing(currentPassword, "Enter your current password."),
      newPassword: tooShort(newPassword),
    },
  };
}

const text = (typed: FormData, name: string): string => String(typed.get(name) ?? "");

const signInFields = (typed: FormData): SignInFields => ({
  email: text(typed, "email").trim(),
  password: text(typed, "password"),
  remember: typed.has("remember"),
});

const missing = (value: string, error: string): string | undefined =>
  value === "" ? error : undefined;

const wrongEmail = (email: string): string | undefined =>
  missing(email, "Enter your e-mail address.") ??
  (/^\S+@\S+$/.test(email)
    ? undefined
    : "An e-mail address has an @ and something on both sides of it.");

const tooShort = (password: string): string | undefined =>
  [...password.normalize("NFC")].length < MIN_PASSWORD
    ? `At least ${MIN_PASSWORD} characters, please.`
    : undefined;
