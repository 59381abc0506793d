import {
  type InputHTMLAttributes,
  type ReactElement,
  type ReactNode,
  type Ref,
  useId,
} from "react";

export interface TextFieldProps
  extends Omit<InputHTMLAttributes<HTMLInputElement>, "className" | "id"> {
  readonly label: string;
  readonly error?: ReactNode;
  /** Gives way to an error. */
  readonly hint?: ReactNode;
  /** Stays beside an error, for it may be its cause. */
  readonly notice?: ReactNode;
  readonly ref?: Ref<HTMLInputElement>;
  /** Stands inside the box, at its end. */
  readonly end?: ReactNode;
}

/** A labelled line of input; what is wrong with it stands below it and is read out with it. */
export function TextField(props: TextFieldProps): ReactElement {
  const { label, error, hint, notice, end, ...input } = props;
  const id = useId();
  const note = error ?? hint;
  return (
    <div>
      <label htmlFor={id} className="mb-1 block text-sm font-medium">
        {label}
      </label>
      <div
        className={`flex h-10 items-center rounded-control border bg-surface focus-within:outline-2 focus-within:outline-offset-2 focus-within:outline-accent pointer-coarse:h-11 ${error ? "border-danger" : "border-line-strong"}`}
      >
        <input
          {...input}
          id={id}
          aria-invalid={error ? true : undefined}
          aria-describedby={note ? `${id}-note` : undefined}
          className="h-full min-w-0 flex-1 bg-transparent px-3 text-lg outline-none sm:text-base"
        />
        {end}
      </div>
      {note ? (
        <p id={`${id}-note`} className={`mt-2 text-sm ${error ? "text-danger" : "text-ink-2"}`}>
          {note}
        </p>
      ) : null}
      {notice}
    </div>
  );
}
