/**
 * What a user fills in: log in, register, change the password, confirm. Each ends in success or an `ApiError`.
 */
import { ApiError } from "./errors.ts";
import { type Answer, asJson, type Post } from "./requests.ts";
import type { Session } from "./types.ts";

type Forms = Pick<Session, "login" | "register" | "changePassword" | "confirm">;

export interface FormsContext {
  /** @throws ApiError */
  readonly submit: (route: string, request: Post) => Promise<Answer>;
  /** As `submit`, where the answer is a token: from then on it is ours. @throws ApiError */
  readonly adopt: (route: string, request: Post) => Promise<void>;
  readonly session: () => Session;
}

export function createForms({ submit, adopt, session }: FormsContext): Forms {
  /** With the bearer token; once more after a refresh, outside the lock, which that needs itself. */
  async function adoptSignedIn(route: string, form: Record<string, string>): Promise<void> {
    const body = asJson(form);
    const token = await session().token({ minLife: true });
    try {
      await adopt(route, { body, token });
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 401) throw error;
      const again = await session().refused({ sentWith: token, code: error.code });
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
      const { status, json } = await submit("/register", { body: asJson({ email, password }) });
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
