/**
 * What a user fills in: log in, register, change the password, confirm. Each ends in success or an `ApiError`.
 */
import { ApiError } from "./errors.ts";
import type { Token } from "./machine.ts";
import { type Post, submit } from "./requests.ts";
import { readToken } from "./tokens.ts";
import type { Host, Session } from "./types.ts";

type Forms = Pick<Session, "login" | "register" | "changePassword" | "confirm">;

export interface FormsContext {
  readonly host: Host;
  readonly authUrl: string;
  readonly timeoutMs: number;
  readonly family: () => string | null;
  readonly wake: () => void;
  readonly locked: <T>(work: () => Promise<T>) => Promise<T>;
  readonly session: () => Session;
  /** To be called first; what it returns adopts the token, unless a logout came between. */
  readonly beginLogin: () => (token: Token) => Promise<void>;
}

export function createForms(context: FormsContext): Forms {
  const { host, authUrl, timeoutMs } = context;

  /** Under the lock, so that no tab refreshes while the cookie changes hands. */
  async function adopt(route: string, request: Post): Promise<void> {
    context.wake();
    const finish = context.beginLogin();
    await context.locked(async () => {
      const askedAt = host.now();
      const { status, json } = await submit(host, authUrl + route, timeoutMs, request);
      const token = readToken(json, askedAt, context.family());
      if (!token) throw new ApiError(status, "unexpected", "The server gave an unexpected answer.");
      await finish(token);
    });
  }

  /** With the bearer token; once more after a refresh, outside the lock, which that needs itself. */
  async function adoptSignedIn(route: string, body: Record<string, string>): Promise<void> {
    const session = context.session();
    const token = await session.token({ minLife: true });
    try {
      await adopt(route, { body, token });
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 401) throw error;
      const again = await session.refused({ sentWith: token, code: error.code });
      if (again === null) throw error;
      await adopt(route, { body, token: again });
    }
  }

  return {
    login: ({ email, password, remember = true }) =>
      adopt("/token", {
        body: new URLSearchParams({ username: email, password, remember: String(remember) }),
      }),

    async register({ email, password }) {
      const { status, json } = await submit(host, `${authUrl}/register`, timeoutMs, {
        body: { email, password },
      });
      return status === 201
        ? { status: "created", id: String(json?.id), email: String(json?.email) }
        : { status: "mailed" };
    },

    changePassword: ({ currentPassword, newPassword }) =>
      adoptSignedIn("/password", {
        current_password: currentPassword,
        new_password: newPassword,
      }),

    confirm: (password) => adoptSignedIn("/confirm", { password }),
  };
}
