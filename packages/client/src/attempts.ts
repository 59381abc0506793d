/**
 * One try, and after a refresh a second one: what every binding does about a 401.
 */
import type { Session } from "./types.ts";

export interface Request<Answer> {
  /** Its body is a stream: what has been read of it cannot be sent a second time. */
  readonly isSentOnce: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly send: (token: string | null) => Promise<Answer>;
  /** The answer's `code` where it is a 401 (null: it has none); undefined where it is none. */
  readonly refusal: (answer: Answer) => Promise<string | null | undefined>;
  /** Runs while the request waits for a token. Default: wait as long as it takes. */
  readonly patiently?: <T>(wait: (signal: AbortSignal | undefined) => Promise<T>) => Promise<T>;
}

/** Sends the request with the session's token. */
export async function withToken<Answer>(
  session: Session,
  { isSentOnce, signal, send, refusal, patiently = (wait) => wait(signal) }: Request<Answer>,
): Promise<Answer> {
  const token = await patiently((until) => session.token({ minLife: isSentOnce, signal: until }));
  const first = await send(token);
  const code = await refusal(first);
  if (code === undefined) return first;
  const decision = patiently((until) => session.refused({ sentWith: token, code }, until));
  if (isSentOnce) {
    decision.catch(() => {}); // the refresh goes on for the requests to come
    return first;
  }
  const newer = await decision;
  if (newer === null) return first;
  const second = await send(newer);
  if ((await refusal(second)) !== undefined) session.refusedAgain(newer);
  return second;
}

/** `code` of an answer's JSON. */
export function codeIn(body: unknown): string | null {
  try {
    const json = typeof body === "string" ? JSON.parse(body) : body;
    return typeof json?.code === "string" ? json.code : null;
  } catch {
    return null;
  }
}
