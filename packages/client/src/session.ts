/**
 * The session: performs what the machine decides. The only file that holds state, and the only one that
 * touches the world, through `Host`.
 */
import { ApiError, type EndCode, type EndReason, SessionExpiredError } from "./errors.ts";
import { createForms } from "./forms.ts";
import { familyOf, type Hint, newsFrom, readHint, wentBack, writeLoggedOut } from "./hint.ts";
import { BROWSER } from "./host.ts";
import {
  type Effect,
  INITIAL,
  type SessionEvent,
  type State,
  type Token,
  tokenOf,
  transition,
} from "./machine.ts";
import { type Refreshed, refresh } from "./refresh.ts";
import { post, refuse, submit } from "./requests.ts";
import { createReporter } from "./snapshot.ts";
import { createTabs, type TabEvent } from "./tabs.ts";
import { readToken, userIdOf } from "./tokens.ts";
import type { Host, Session, SessionOptions } from "./types.ts";
import { createWaiting } from "./waiting.ts";

/** Beyond a fetch's own time, for the lock: the fetch under it always ends first. */
const LOCK_EXTRA_MS = 2_000;

/** Whoever logs out may close the page at once: the request must be on its way by then. */
const LOGOUT_LOCK_MS = 1_000;

/** The retry timer's spread: not all clients at once when the server is back. */
const SPREAD = 0.1;

/** Nearly over: less than this is left, or than a quarter of the token's life. */
const NEARLY_MS = 30_000;

/** A 401 that speaks of the request's own content, not of the token. */
const NOT_THE_TOKEN = /^(invalid_credentials|login_required_again)$/;

/** They speak for themselves: no token goes there. */
const OWN_ROUTES = ["/refresh", "/token", "/logout", "/register", "/register/finish"];

/** How it ends, or never was, where no cookie of ours is there. */
const MISSING = { code: "refresh_missing", reason: null } as const;

/** A logout: of which token and family, where known. */
interface Owed {
  readonly token?: string | undefined;
  readonly family?: string | null | undefined;
}

/** Make the page's session. Touches nothing before `start()` or the first request. */
export function createSession(options: SessionOptions = {}): Session {
  const host: Host = { ...BROWSER, ...options.host };
  const { authUrl = "/auth", timeoutMs = 8_000, hintCookie = "auto" } = options;
  const owner = options.name ? `${options.name}_` : "";
  const tabs = createTabs(host, `batonpass:${authUrl}`);
  const { report, face } = createReporter();
  const lockMs = timeoutMs + LOCK_EXTRA_MS;

  let state: State = INITIAL;
  let users = 0;
  let stop: (() => void) | null = null;
  let booted = false;
  let cancelRetry: (() => void) | null = null;
  /** Ends the refresh in flight: a logout, here or in another tab, does not wait for it. */
  let interrupt = new AbortController();
  /** Counts logouts, so that a login that one overtook is not believed. */
  let logouts = 0;
  /** A logout that has not reached the server. */
  let owed: Owed | null = null;
  /** Settles with the last logout that is under way: its answer clears the cookie. */
  let paying: Promise<void> | undefined;
  /** The last cookie that was acted upon: a forged one costs one refresh, not one a request. */
  let seenHint: string | null = null;

  const waiting = createWaiting(() => state, host.now, loginUrl);

  // ---- the machine's hands

  function dispatch(event: SessionEvent): void {
    const before = state;
    const { state: next, effects } = transition(before, event);
    state = next;
    if (next.name !== before.name) noteChange(next);
    for (const effect of effects) perform[effect](before);
    report(state);
  }

  function noteChange({ name }: State): void {
    cancelRetry?.();
    if (name === "authenticated") owed = null; // a login ends what its cookie came from
    if (!tokenOf(state)) {
      interrupt.abort(); // its answer would bring a cookie back, over a logout's mark
      interrupt = new AbortController();
    }
    if (isOver(name)) seenHint = hintNow()?.raw ?? null;
  }

  /** What "tell-ending" and "post-logout" speak of is what the state `before` had. */
  const perform: Readonly<Record<Effect, (before: State) => void>> = {
    refresh: () => void renew(state.epoch),
    "serve-waiting": waiting.serve,
    "schedule-retry": () => {
      if (state.name !== "unreachable") return;
      cancelRetry = host.after(state.retryInMs * (1 + host.random() * SPREAD), () => {
        if (!host.isHidden()) dispatch({ type: "retry" }); // else when it is looked at again
      });
    },
    "tell-token": () => {
      const token = tokenOf(state);
      if (token) tabs.tell({ type: "token-from-tab", token });
    },
    "tell-login": () => {
      const token = tokenOf(state);
      if (token) tabs.tell({ type: "signed-in", token, elsewhere: true });
    },
    "tell-ending": (before) => {
      const sessionId = tokenOf(before)?.sessionId;
      if (sessionId && state.name === "expired") {
        tabs.tell({ type: "ended-in-tab", sessionId, ending: state.ending });
      }
    },
    "tell-logout": () => tabs.tell({ type: "logged-out-in-tab" }),
    "post-logout": (before) => {
      owed = {
        token: tokenOf(before)?.accessToken ?? owed?.token,
        family: family() ?? owed?.family,
      };
      if (readsHint()) writeLoggedOut(host, owner);
    },
  };

  /** One refresh under the lock: unless another tab has done it by then, or somebody has logged out. */
  function renew(epoch: number): Promise<void> {
    const { signal } = interrupt;
    const isNeedless = (): boolean =>
      state.epoch !== epoch || (state.name !== "booting" && state.name !== "refreshing");
    return tabs.locked(lockMs, async () => {
      const hint = hintNow();
      if (!isNeedless() && hint?.family === null) dispatch({ type: "logged-out-in-tab" });
      if (!isNeedless() && isWorthAsking(hint)) await tabs.ask(isNeedless);
      if (!isNeedless()) await askServer(epoch, signal);
    });
  }

  /** Within the lock: the next tab finds our token when it asks. */
  async function askServer(epoch: number, signal: AbortSignal): Promise<void> {
    const outcome = await refresh(host, {
      url: `${authUrl}/refresh`,
      deadline: host.now() + timeoutMs - 200, // with the neighbour's answer still less than the lock's time
      signal,
      family,
    });
    const isMissing = outcome.type === "denied" && outcome.ending.code === "refresh_missing";
    if (isMissing && tokenOf(state)?.generation === 0) warnOfRefusedCookie();
    dispatch(isAnothers(outcome) ? { ...outcome, ending: MISSING, epoch } : { ...outcome, epoch });
  }

  /** Whether the cookie was another app's, on a host that several share: ours comes with the readable one. */
  function isAnothers(outcome: Refreshed): outcome is Refreshed & { readonly type: "denied" } {
    return (
      outcome.type === "denied" &&
      outcome.ending.code === "refresh_invalid" &&
      readsHint() &&
      !hintNow()
    );
  }

  /** Whether another tab may have a newer token than ours. */
  function isWorthAsking(hint: Hint | null): boolean {
    const mine = tokenOf(state);
    if (!readsHint()) return true;
    return hint !== null && hint.raw !== mine?.hint && !(mine && wentBack(hint, mine));
  }

  // ---- logging out

  /** Tell the server about a logout; what does not get through stays owed. */
  function payLogout(patienceMs: number): Promise<void> {
    paying = tabs.locked(patienceMs, async () => {
      const now = family();
      if (now && now !== owed?.family) owed = null; // somebody has logged in since
      if (owed) await sendLogout();
    });
    return paying;
  }

  async function sendLogout(): Promise<void> {
    const debt = owed;
    const answer = await post(host, `${authUrl}/logout`, timeoutMs, { token: debt?.token }).catch(
      () => null,
    );
    if (answer && answer.status < 300 && owed === debt) owed = null;
  }

  // ---- logging in

  /** Under the lock, so that no tab refreshes while the cookie changes hands. */
  async function adopt(...[route, request]: Parameters<typeof send>): Promise<void> {
    wake();
    const before = logouts;
    await paying; // it may have gone on without the lock
    await tabs.locked(lockMs, async () => {
      const askedAt = host.now();
      const answer = await send(route, request);
      const token = readToken(answer.json, askedAt, family()) ?? refuse(answer);
      if (readsHint() && token.hint === null) warnOfRefusedCookie();
      if (logouts === before) return dispatch({ type: "signed-in", token, elsewhere: false });
      owed = { token: token.accessToken, family: family() }; // a logout overtook it
      await sendLogout();
      throw new ApiError(0, "logged_out", "You have logged out meanwhile.");
    });
  }

  const send = (route: string, request: Parameters<typeof submit>[3]) =>
    submit(host, authUrl + route, timeoutMs, request);

  // ---- the readable cookie

  function readsHint(): boolean {
    if (hintCookie !== "auto") return hintCookie;
    const page = host.location();
    return page !== null && URL.parse(authUrl, page.href)?.origin === page.origin;
  }

  const hintNow = (): Hint | null => (readsHint() ? readHint(host, owner) : null);

  const family = (): string | null => hintNow()?.family ?? null;

  /** Hold the cookie against what we know: other tabs leave their traces there. */
  function lookAtCookie(restored = false): void {
    const hint = hintNow();
    const raw = hint?.raw ?? null;
    const token = tokenOf(state);
    let event: SessionEvent | null = null;
    if (token) event = newsFrom(hint, token, restored);
    else if (hint?.family && isOver(state.name)) event = { type: "strange-cookie" };
    if (event && (raw === null || raw !== seenHint)) dispatch(event);
    seenHint = event && raw;
  }

  // ---- life

  function wake(): void {
    if (stop) return;
    tabs.open(hear);
    const unlisten = host.listen((what) => {
      if (owed) void payLogout(lockMs); // the network may be back
      if (what !== "online") lookAtCookie(what === "restored");
      dispatch({ type: "retry" });
    });
    stop = () => {
      unlisten();
      tabs.close();
      cancelRetry?.();
      stop = null;
    };
    if (booted) {
      lookAtCookie();
      dispatch({ type: "retry" });
    } else {
      booted = true;
      boot();
    }
  }

  function boot(): void {
    const hint = hintNow();
    if (hint?.family === null) {
      owed = {}; // from before the page was loaded
      void payLogout(lockMs);
    }
    if (hint ? hint.family === null : hintCookie === true) dispatch({ type: "logged-out-in-tab" });
    else void renew(state.epoch);
  }

  function hear(event: TabEvent | null): void {
    if (event === null) offerToken();
    else if ("token" in event) hearToken(event);
    else {
      if (event.type === "logged-out-in-tab") logouts += 1;
      dispatch(event);
    }
  }

  function offerToken(): void {
    if (state.name !== "authenticated" || state.token.expiresAt <= host.now()) return;
    perform["tell-token"](state);
  }

  function hearToken(event: Extract<TabEvent, { token: Token }>): void {
    const { token } = event;
    const mine = tokenOf(state);
    const owner = family();
    // Not where it is from before the last login or logout.
    if (readsHint() && (owner === null || familyOf(token) !== owner)) return;
    // Another session than ours was begun in that tab, and we slept through it.
    const isOther = owner !== null && mine !== null && mine.sessionId !== token.sessionId;
    dispatch(isOther ? { type: "signed-in", token, elsewhere: true } : event);
  }

  function start(): () => void {
    users += 1;
    wake();
    let mine = 1;
    return () => {
      users -= mine;
      mine = 0;
      if (users === 0) stop?.();
    };
  }

  // ---- requests

  /** Starts a refresh where the token is over, or nearly so and that matters. */
  function lookAtClock(token: Token, minLife: boolean): void {
    const left = token.expiresAt - host.now();
    const nearly = Math.min(NEARLY_MS, (token.expiresAt - token.receivedAt) / 4);
    if (left <= 0 || (minLife && left < nearly)) {
      dispatch({ type: "refresh-needed", usable: left > 0 });
    }
  }

  function loginUrl(returnTo?: string): string {
    const page = host.location();
    const here = page ? page.href.slice(page.origin.length) : "/";
    const to = options.loginUrl ?? ((path) => `/login?return_to=${encodeURIComponent(path)}`);
    return to(returnTo ?? here);
  }

  const session: Session = {
    ...face,
    start,
    loginUrl,
    retry: () => dispatch({ type: "retry" }),

    ready() {
      wake();
      return new Promise((resolve) => {
        const look = (): void => {
          const snapshot = face.getSnapshot();
          if (snapshot.status === "booting") return;
          unsubscribe();
          resolve(snapshot);
        };
        const unsubscribe = face.subscribe(look);
        look();
      });
    },

    async token({ minLife = false, signal } = {}) {
      wake();
      if (state.name === "authenticated") lookAtCookie();
      const token = tokenOf(state);
      if (token) lookAtClock(token, minLife);
      return waiting.join(tokenOf(state)?.userId ?? null, { minLife, signal });
    },

    async refused({ sentWith, code }, signal) {
      if (NOT_THE_TOKEN.test(code ?? "")) return null;
      if (sentWith === null) {
        if (state.name !== "expired") return null;
        const { code, reason } = state.ending;
        throw new SessionExpiredError(code as EndCode, reason as EndReason | null, loginUrl());
      }
      const revoked = code === "session_revoked";
      dispatch({ type: "unauthorized", sentWith, revoked, now: host.now() });
      return waiting.join(userIdOf(sentWith) ?? tokenOf(state)?.userId ?? null, {
        sentWith,
        signal,
      });
    },

    refusedAgain: (sentWith) => dispatch({ type: "refused-again", sentWith }),

    covers(url) {
      const page = host.location()?.href;
      const target = URL.parse(url, page);
      if (!target || !/^https?:$/.test(target.protocol)) return false;
      const bare = target.origin + target.pathname;
      return (
        ["", authUrl, ...(options.origins ?? [])].some(
          (place) => URL.parse(place, page)?.origin === target.origin,
        ) && !OWN_ROUTES.some((route) => URL.parse(authUrl + route, page)?.href === bare)
      );
    },

    async logout() {
      wake();
      logouts += 1;
      dispatch({ type: "logout" });
      const { epoch } = state;
      await payLogout(LOGOUT_LOCK_MS);
      dispatch({ type: "logout-done", epoch });
    },

    ...createForms({ submit: send, adopt, session: () => session }),
  };
  return session;
}

/** Nobody is signed in, and nothing is under way. */
const isOver = (name: State["name"]): boolean => name === "anonymous" || name === "expired";

/** A login that did not stick would else look like a session that ends after minutes. */
function warnOfRefusedCookie(): void {
  // biome-ignore lint/suspicious/noConsole: a mistake of the set-up that nothing else would show
  console.error(
    "batonpass: the browser refused the session cookie: see COOKIE_SECURE (plain http) and COOKIE_SAMESITE (API on another site)",
  );
}
