import { useEffect, useRef, useState } from "react";
import { useSession } from "./useSession.ts";

/** What the user is asked, while he is. */
export interface Asking {
  /** Why the last password would not do, null at first: an `ApiError`, such as `wrong_password`. */
  readonly error: Error | null;
  /** A password is on its way. */
  readonly busy: boolean;
  /** Never rejects: what is wrong shows in `error`. */
  readonly confirm: (password: string) => Promise<void>;
  /** Whoever waits gets the refusal that began it. */
  readonly cancel: () => void;
}

export interface Confirm {
  /**
   * Does `work`; where a route answers `login_required_again`, the password is asked for and `work` done once more.
   * It may throw (axios) or resolve with a `Response` (fetch).
   */
  readonly confirmed: <Result>(work: () => Promise<Result>) => Promise<Result>;
  /** Null while nothing is asked; give it to `<ConfirmDialog>`, or to a face of your own. */
  readonly asking: Asking | null;
}

type Question = Pick<Asking, "error" | "busy">;

/** The way back from `login_required_again`: asks for the password, then goes on. */
export function useConfirm(): Confirm {
  const { session } = useSession();
  const [question, setQuestion] = useState<Question | null>(null);
  /** One question, however many wait for its answer. */
  const waiting = useRef<((isConfirmed: boolean) => void)[]>([]);

  function answer(isConfirmed: boolean): void {
    setQuestion(null);
    for (const go of waiting.current.splice(0)) go(isConfirmed);
  }

  // biome-ignore lint/correctness/useExhaustiveDependencies: whoever waits when the page goes is told, then only
  useEffect(() => () => answer(false), []);

  async function confirmed<Result>(work: () => Promise<Result>): Promise<Result> {
    const [{ status, ...said }] = await Promise.allSettled([work()]);
    const result = "value" in said ? said.value : said.reason;
    if ((await codeOf(result)) === "login_required_again") {
      setQuestion({ error: null, busy: false });
      if (await new Promise<boolean>((go) => waiting.current.push(go))) return work();
    }
    if (status === "rejected") throw result;
    return result;
  }

  async function confirm(password: string): Promise<void> {
    setQuestion({ error: null, busy: true });
    try {
      await session.confirm(password);
      answer(true);
    } catch (error) {
      setQuestion({ error: error as Error, busy: false });
    }
  }

  return {
    confirmed,
    asking: question && { ...question, confirm, cancel: () => answer(false) },
  };
}

/** `code` of a refusal: a Response, an axios error, an `ApiError`. */
async function codeOf(result: unknown): Promise<unknown> {
  if (result instanceof Response) {
    return result.status === 401
      ? codeOf(
          await result
            .clone()
            .json()
            .catch(() => null),
        )
      : null;
  }
  const { response, code } = Object(result) as { response?: { data?: unknown }; code?: unknown };
  return response ? codeOf(response.data) : code;
}
