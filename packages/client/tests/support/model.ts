/** A server in the test's own thread that keeps the contract and the family's rules, on the test's clock. */
import {
  beginFamily,
  type Family,
  judge,
  noteSeen,
  recover,
  rotate,
  tokenOf,
  type Verdict,
} from "./family.ts";

const ACCESS_TOKEN_MS = 1_800_000;

export interface Question {
  readonly path: string;
  readonly bearer: string | null;
  readonly body: string;
  /** The refresh cookie as the request left with it. */
  readonly cookie: string | null;
}

export interface Reply {
  readonly status: number;
  readonly json?: unknown;
  /** Set-Cookie; null deletes. */
  readonly cookies?: Readonly<Record<string, string | null>>;
}

export interface Model {
  readonly families: Map<string, Family>;
  readonly answer: (question: Question) => Reply;
  /** Ends the life of every access token, but no session. */
  readonly expireAccessTokens: () => void;
  readonly revokeAll: () => void;
}

interface Claims {
  readonly sub: string;
  readonly sid: string;
  readonly gen: number;
  readonly iat: number;
  readonly n: number;
}

export const refuse = (status: number, code: string, more = {}): Reply => ({
  status,
  json: { detail: `No: ${code}`, code, ...more },
});

/** What an access token says of itself. */
export const claimsOf = (bearer: string): Claims =>
  JSON.parse(Buffer.from(bearer.split(".")[1] ?? "", "base64url").toString());

export function createModel(
  now: () => number,
  ruled: (family: Family, verdict: Verdict, presented: string) => void,
): Model {
  const families = new Map<string, Family>();
  let issued = 0;
  let expiredUntil = 0;

  function grant(family: Family): Reply {
    issued += 1;
    const { id, generation, user } = family;
    const claims: Claims = { sub: user, sid: id, gen: generation, iat: now(), n: issued };
    return {
      status: 200,
      json: {
        access_token: `h.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.s`,
        token_type: "bearer",
        expires_in: ACCESS_TOKEN_MS / 1_000,
        session_id: id,
        generation,
      },
      cookies: {
        refresh_token: tokenOf(id, generation),
        session_state: `${id}.${generation}`,
      },
    };
  }

  const familyOf = (cookie: string | null): Family | undefined =>
    families.get(cookie?.split(".")[0] ?? "");

  function refresh({ cookie }: Question): Reply {
    const family = familyOf(cookie);
    if (!family || cookie === null) return refuse(401, "refresh_missing");
    const verdict = judge(family, cookie, now());
    ruled(family, verdict, cookie);
    switch (verdict) {
      case "revoked":
        return refuse(401, "refresh_revoked", { reason: family.ended });
      case "superseded":
        return refuse(409, "refresh_superseded");
      case "reused":
        family.ended = "reused";
        return refuse(401, "refresh_reused");
      case "rotate":
        rotate(family, now());
        return grant(family);
      case "recover":
        recover(family, cookie, now());
        return grant(family);
      default:
        verdict satisfies "repeat";
        return grant(family);
    }
  }

  function logIn({ body, cookie }: Question): Reply {
    const replaced = familyOf(cookie);
    if (replaced) replaced.ended ??= "logout";
    const id = `family${families.size + 1}`;
    const family = beginFamily(id, new URLSearchParams(body).get("username") ?? "", now());
    families.set(id, family);
    return grant(family);
  }

  function logOut({ bearer, cookie }: Question): Reply {
    const held = bearer === null ? undefined : families.get(claimsOf(bearer).sid);
    for (const family of [familyOf(cookie), held]) if (family) family.ended ??= "logout";
    return { status: 204, cookies: { refresh_token: null, session_state: null } };
  }

  function items({ bearer }: Question): Reply {
    if (bearer === null) return refuse(401, "token_missing");
    const { sid, gen, iat, n } = claimsOf(bearer);
    const family = families.get(sid);
    if (!family || n <= expiredUntil || now() - iat >= ACCESS_TOKEN_MS) {
      return refuse(401, "token_invalid");
    }
    if (family.ended) return refuse(401, "session_revoked", { reason: family.ended });
    noteSeen(family, gen, iat, now());
    return { status: 200, json: { user: family.user } };
  }

  const routes: Readonly<Record<string, (question: Question) => Reply>> = {
    "/auth/token": logIn,
    "/auth/refresh": refresh,
    "/auth/logout": logOut,
    "/api/items": items,
  };

  return {
    families,
    answer: (question) => (routes[question.path] ?? items)(question),
    expireAccessTokens() {
      expiredUntil = issued;
    },
    revokeAll() {
      for (const family of families.values()) family.ended ??= "revoked";
    },
  };
}
