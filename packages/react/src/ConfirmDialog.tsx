import { type ReactElement, type SubmitEvent, useId } from "react";
import { Modal } from "./Modal.tsx";
import type { Asking } from "./useConfirm.ts";

export interface ConfirmDialogProps {
  /** From `useConfirm`. */
  readonly asking: Asking | null;
  readonly className?: string;
}

/** Asks for the password while somebody waits for it. */
export function ConfirmDialog({ asking, className }: ConfirmDialogProps): ReactElement | null {
  const id = useId();
  if (!asking) return null;
  const { error, busy, confirm, cancel } = asking;

  function submit(event: SubmitEvent<HTMLFormElement>): void {
    event.preventDefault();
    void confirm(String(new FormData(event.currentTarget).get("password")));
  }

  return (
    <Modal className={className} title={id} onCancel={cancel}>
      <form onSubmit={submit}>
        <p id={id}>Please confirm that it is you</p>
        <label>
          Password{" "}
          <input name="password" type="password" autoComplete="current-password" required />
        </label>
        <p role="alert">{error?.message}</p>
        <button type="submit" disabled={busy}>
          Confirm
        </button>
        <button type="button" onClick={cancel}>
          Cancel
        </button>
      </form>
    </Modal>
  );
}
