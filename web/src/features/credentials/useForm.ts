import { type FormEvent, useState } from "react";

/** What was typed, and what is wrong with it, field by field in their order on the page. */
export interface Checked<Fields> {
  readonly fields: Fields;
  readonly errors: Errors<Fields>;
}
export type Errors<Fields> = { readonly [Name in keyof Fields]?: string | undefined };

export interface Form<Fields> {
  readonly errors: Errors<Fields>;
  readonly isSubmitting: boolean;
  /** The form's own properties. */
  readonly form: {
    readonly noValidate: true;
    readonly method: "post"; // without scripts no password gets into an address
    readonly onSubmit: (event: FormEvent<HTMLFormElement>) => void;
    readonly onChange: (event: FormEvent<HTMLFormElement>) => void;
  };
}

export interface FormOptions<Fields> {
  readonly check: (typed: FormData) => Checked<Fields>;
  /** Returns the field to go back to where it was refused; true: done, the form is emptied. */
  readonly send: (fields: Fields) => Promise<(keyof Fields & string) | boolean>;
}

/** A form whose fields the browser keeps: checked when it is sent, and from then on as one types. */
export function useForm<Fields>({ check, send }: FormOptions<Fields>): Form<Fields> {
  const [errors, setErrors] = useState<Errors<Fields>>({});
  const [isSubmitting, setSubmitting] = useState(false);
  const [wasSent, setWasSent] = useState(false);

  async function submit(form: HTMLFormElement): Promise<void> {
    const { fields, errors } = check(new FormData(form));
    const [wrong] = Object.entries(errors).find(([, error]) => error !== undefined) ?? [];
    setErrors(errors);
    setWasSent(true);
    if (wrong !== undefined) {
      fieldOf(form, wrong)?.focus();
      return;
    }
    setSubmitting(true);
    try {
      const outcome = await send(fields);
      if (typeof outcome === "string") goBack(form, outcome);
      if (outcome === true) {
        form.reset();
        setWasSent(false);
      }
    } finally {
      setSubmitting(false);
    }
  }
  return {
    errors,
    isSubmitting,
    form: {
      noValidate: true,
      method: "post",
      onSubmit(event) {
        event.preventDefault();
        void submit(event.currentTarget);
      },
      onChange(event) {
        if (wasSent) setErrors(check(new FormData(event.currentTarget)).errors);
      },
    },
  };
}

function fieldOf(form: HTMLFormElement, name: string): HTMLInputElement | null {
  const field = form.elements.namedItem(name);
  return field instanceof HTMLInputElement ? field : null;
}

function goBack(form: HTMLFormElement, name: string): void {
  const field = fieldOf(form, name);
  field?.focus();
  field?.select();
}
