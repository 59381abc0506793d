import type { InputHTMLAttributes, ReactElement, Ref } from "react";

export interface CheckboxProps
  extends Omit<InputHTMLAttributes<HTMLInputElement>, "className" | "type"> {
  readonly label: string;
  readonly ref?: Ref<HTMLInputElement>;
}

export function Checkbox({ label, ...input }: CheckboxProps): ReactElement {
  return (
    <label className="flex items-center gap-2 self-start text-sm pointer-coarse:min-h-10">
      <input {...input} type="checkbox" className="size-4 shrink-0 accent-accent" />
      {label}
    </label>
  );
}
