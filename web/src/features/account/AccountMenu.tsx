import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ChevronDown, KeyRound } from "lucide-react";
import { type ReactElement, useEffect, useId, useRef, useState } from "react";
import { usePrivate } from "../../api/usePrivate.ts";
import { account } from "./queries.ts";
import { ThemeChoice } from "./ThemeChoice.tsx";

/** Who is signed in, and what belongs to the account. */
export function AccountMenu(): ReactElement {
  const { data } = useQuery(usePrivate(account));
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const panelId = useId();
  const email = data?.email ?? "";

  useEffect(() => {
    if (!open) return;
    function onPointer(event: PointerEvent): void {
      if (!box.current?.contains(event.target as Node)) setOpen(false);
    }
    document.addEventListener("pointerdown", onPointer);
    return () => document.removeEventListener("pointerdown", onPointer);
  }, [open]);

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: Escape closes what is inside, wherever the focus is in it
    <div
      ref={box}
      className="relative min-w-0"
      onKeyDown={(event) => {
        if (event.key !== "Escape" || !open) return;
        setOpen(false);
        button.current?.focus();
      }}
      onBlur={(event) => {
        if (event.relatedTarget && !event.currentTarget.contains(event.relatedTarget))
          setOpen(false);
      }}
    >
      <button
        ref={button}
        type="button"
        aria-expanded={open}
        aria-controls={panelId}
        onClick={() => setOpen(!open)}
        className="flex h-8 max-w-full items-center gap-2 rounded-control px-2 text-sm text-ink-2 transition-colors hover:bg-sunken hover:text-ink pointer-coarse:h-10"
      >
        <span
          aria-hidden
          className="flex size-6 shrink-0 items-center justify-center rounded-full bg-accent-soft text-xs font-semibold text-accent-text uppercase"
        >
          {email.charAt(0)}
        </span>
        <span className="sr-only">Account</span>
        <span className="max-w-40 min-w-24 truncate text-left max-sm:hidden">
          {email || <span className="block h-3 rounded-control bg-sunken" />}
        </span>
        <ChevronDown aria-hidden size={14} className="shrink-0 text-ink-3" />
      </button>
      <div
        id={panelId}
        hidden={!open}
        className="absolute right-0 z-20 mt-2 w-64 animate-appear rounded-card border border-line bg-surface p-2 shadow-float"
      >
        <p className="truncate px-2 pt-1 pb-3 text-sm text-ink-2" title={email}>
          Signed in as <span className="font-medium text-ink">{email}</span>
        </p>
        <ThemeChoice />
        <Link
          to="/settings/password"
          onClick={() => setOpen(false)}
          className="mt-2 flex h-8 items-center gap-2 rounded-control px-2 text-sm transition-colors hover:bg-sunken pointer-coarse:h-10"
        >
          <KeyRound aria-hidden size={16} className="text-ink-2" />
          Change password
        </Link>
      </div>
    </div>
  );
}
