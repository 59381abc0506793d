import { type InputHTMLAttributes, type ReactElement, type Ref, useId } from "react";

export interface CheckboxProps
  extends Omit<InputHTMLAttributes<HTMLInputElement>, "className" | "type"> {
  readonly label: string;
  readonly hint?: string;
  readonly ref?: Ref<HTMLInputElement>;
}

export function Checkbox({ label, hint, ...input }: CheckboxProps): ReactElement {
  const id = useId();
  return (
    <div className="flex items-start gap-2 pointer-coarse:min-h-10 pointer-coarse:items-center">
      <input
        {...input}
        id={id}
        type="checkbox"
        aria-describedby={hint ? `${id}-hint` : undefined}
        className="mt-0.5 size-4 shrink-0 accent-accent"
      />
      <div className="text-sm">
        <label htmlFor={id}>{label}</label>
        {hint ? (
          <p id={`${id}-hint`} className="text-ink-3">
            {hint}
          </p>
        ) : null}
      </div>
    </div>
  );
}
