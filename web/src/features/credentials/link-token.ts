/** The token of a link from a mail. It travels in the fragment, which no server sees. Pure. */

const TOKEN = /^#token=([\w-]+)$/;

/** Null where the address has none: typed by hand, cut by a mail program, or opened before. */
export const tokenIn = (hash: string): string | null => TOKEN.exec(hash)?.[1] ?? null;
