/** What the forms ask for before they ask the server, which has the last word. */
import * as v from "valibot";

const email = v.pipe(
  v.string(),
  v.trim(),
  v.nonEmpty("Enter your e-mail address."),
  v.regex(/^\S+@\S+$/, "An e-mail address has an @ and something on both sides of it."),
);

const MIN_PASSWORD = 8; // NIST SP 800-63B-4 §3.1.1.2, ASVS V6.2.1; as on the server

const newPassword = v.pipe(
  v.string(),
  v.check(
    (password) => [...password.normalize("NFC")].length >= MIN_PASSWORD,
    `At least ${MIN_PASSWORD} characters, please.`,
  ),
);

export const LoginFields = v.object({
  email,
  password: v.pipe(v.string(), v.nonEmpty("Enter your password.")),
  remember: v.boolean(),
});

export const RegisterFields = v.object({ email, password: newPassword, remember: v.boolean() });

export type SignInFields = v.InferOutput<typeof LoginFields>;

export const ChangeFields = v.object({
  currentPassword: v.pipe(v.string(), v.nonEmpty("Enter your current password.")),
  newPassword,
});

export type ChangeFields = v.InferOutput<typeof ChangeFields>;
