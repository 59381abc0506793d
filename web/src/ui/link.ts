/** A link within a sentence: its classes. On touch it is as tall as a finger. */
export const linkClass =
  "inline-flex items-center font-medium text-accent-text hover:underline pointer-coarse:min-h-10";

/** A quiet link that stands by itself, beside a heading. */
export const quietLinkClass =
  "inline-flex items-center gap-1 rounded-control text-sm text-ink-2 hover:text-ink hover:underline pointer-coarse:min-h-10";

/** Its click area is the whole row around it, which has to be `relative`. */
export const rowLinkClass = "rounded-control after:absolute after:inset-0";
