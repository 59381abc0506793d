/**
 * The session: performs what the machine decides. The only file that holds state, and the only one that
 * touches the world, through `Host`.
 */
import { ApiError, type EndCode, type EndReason, SessionExpiredError } from "./errors.ts";
import { createForms } from "./forms.ts";
import { compareHint, familyOf, type Hint, readHint, writeLoggedOut } from "./hint.ts";
import { BROWSER } from "./host.ts";
import {
  type Effect,
  INITIAL,
  isNewer,
  type SessionEvent,
  type State,
  type Token,
  tokenOf,
  transition,
} from "./machine.ts";
import { type Refreshed, refresh } from "./refresh.ts";
import { post } from "./requests.ts";
import { createReporter } from "./snapshot.ts";
import { createTabs } from "./tabs.ts";
import { userIdOf } from "./tokens.ts";
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
const NOT_THE_TOKEN: ReadonlySet<string | null> = new Set([
  "invalid_credentials",
  "login_required_again",
]);

/** How it ends, or never was, where no cookie of ours is there. */
const MISSING = { code: "refresh_missing", reason: null } as const;

/** Make the page's session. Touches nothing before `start()` or the first request. */
export function createSession(options: SessionOptions = {}): Session {
  const host: Host = { ...BROWSER, ...options.host };
  const { authUrl = "/auth", timeoutMs = 8_000, hintCookie = "auto" } = options;
  const tabs = createTabs(host, `batonpass:${authUrl}`);
  const reporter = createReporter();
  const lockMs = timeoutMs + LOCK_EXTRA_MS;

  let state: State = INITIAL;
  let users = 0;
  let stop: (() => void) | null = null;
  let booted = false;
  let cancelRetry: (() => void) | null = null;
  /** Ends the refresh in flight: a logout does not wait for it. */
  let interrupt = new AbortController();
  /** Counts logouts, so that a login that one overtook is not believed. */
  let logouts = 0;
  /** A logout that has not reached the server: of which token and family, where known. */
  let owed: { readonly token: string | null; readonly family: string | null } | null = null;
  /** The last cookie that was acted upon: a forged one costs one refresh, not one a request. */
  let seenHint: string | null = null;

  const waiting = createWaiting(() => state, host.now, loginUrl);

  // ---- the machine's hands

  function dispatch(event: SessionEvent): void {
    const before = state;
    // What the "tell-…" and "post-logout" effects speak of is what the state before had.
    const { state: next, effects } = transition(before, event);
    state = next;
    if (next.name !== before.name) noteChange(next);
    for (const effect of effects) perform(effect, before, event);
    reporter.report(next);
  }

  function noteChange(next: State): void {
    cancelRetry?.();
    if (next.name === "authenticated") owed = null; // a login ends what its cookie came from
    if (next.name === "anonymous" || next.name === "expired") {
      seenHint = hintNow()?.raw ?? null;
    }
  }

  function perform(effect: Effect, before: State, event: SessionEvent): void {
    switch (effect) {
      case "refresh":
        void renew(state.epoch);
        return;
      case "serve-waiting":
        waiting.serve();
        return;
      case "schedule-retry":
        scheduleRetry();
        return;
      case "tell-token":
      case "tell-login":
        if (state.name === "authenticated") tabs.tellToken(state.token, effect === "tell-login");
        return;
      case "tell-ending": {
        const token = tokenOf(before);
        if (token && event.type === "denied") tabs.tellEnding(token.sessionId, event.ending);
        return;
      }
      case "tell-logout":
        tabs.tellLogout();
        return;
      case "post-logout":
        interrupt.abort();
        interrupt = new AbortController();
        owed = {
          token: tokenOf(before)?.accessToken ?? owed?.token ?? null,
          family: family() ?? owed?.family ?? null,
        };
        if (readsHint()) writeLoggedOut(host);
        return;
    }
  }

  function scheduleRetry(): void {
    if (state.name !== "unreachable") return;
    const spread = 1 + host.random() * SPREAD;
    cancelRetry = host.after(state.retryInMs * spread, () => {
      if (!host.isHidden()) dispatch({ type: "retry" }); // else when it is looked at again
    });
  }

  /** One refresh under the lock: unless another tab has done it by then. */
  function renew(epoch: number): Promise<void> {
    const { signal } = interrupt;
    const isStillWanted = (): boolean =>
      state.epoch === epoch && (state.name === "booting" || state.name === "refreshing");
    return tabs.locked(lockMs, async () => {
      if (!isStillWanted() || (await adoptFromTab(isStillWanted))) return;
      const outcome = await refresh(host, {
        url: `${authUrl}/refresh`,
        timeoutMs: timeoutMs - 200, // with the neighbour's answer still less than the lock's time
        signal,
        family,
      });
      // Within the lock: the next tab finds our token when it asks.
      dispatch(
        isAnothers(outcome) ? { ...outcome, ending: MISSING, epoch } : { ...outcome, epoch },
      );
    });
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

  /** Whether another tab made the refresh needless: it has a newer token, or it logged out. */
  async function adoptFromTab(isStillWanted: () => boolean): Promise<boolean> {
    const mine = tokenOf(state);
    const hint = hintNow();
    if (hint?.family === null) {
      dispatch({ type: "logged-out-in-tab" });
      return true;
    }
    const isOld = hint && mine && compareHint(hint, mine) === "went-back";
    if (readsHint() && (!hint || hint.raw === mine?.hint || isOld)) return false;
    const token = await tabs.ask((theirs) =>
      hint ? theirs.hint === hint.raw : !mine || isNewer(theirs, mine),
    );
    if (!isStillWanted()) return true;
    if (!token) return false;
    // Another session than ours was begun in that tab, and we slept through it.
    const isOther = mine !== null && mine.sessionId !== token.sessionId;
    dispatch(
      isOther ? { type: "signed-in", token, elsewhere: true } : { type: "token-from-tab", token },
    );
    return true;
  }

  async function postLogout(): Promise<void> {
    const { epoch } = state;
    await payLogout(LOGOUT_LOCK_MS);
    dispatch({ type: "logout-done", epoch });
  }

  /** Tell the server about a logout; what does not get through stays owed. */
  function payLogout(patienceMs: number): Promise<void> {
    return tabs.locked(patienceMs, async () => {
      const hint = hintNow();
      if (hint?.family && hint.family !== owed?.family) owed = null; // somebody has logged in since
      if (owed) await sendLogout();
    });
  }

  async function sendLogout(): Promise<void> {
    const debt = owed;
    const answer = await post(host, `${authUrl}/logout`, timeoutMs, { token: debt?.token }).catch(
      () => null,
    );
    if (answer && answer.status < 300 && owed === debt) owed = null;
  }

  // ---- the readable cookie

  function readsHint(): boolean {
    if (hintCookie !== "auto") return hintCookie;
    const page = host.location();
    return page !== null && URL.parse(authUrl, page.href)?.origin === page.origin;
  }

  const hintNow = (): Hint | null => (readsHint() ? readHint(host) : null);

  const family = (): string | null => hintNow()?.family ?? null;

  /** Hold the cookie against what we know: other tabs leave their traces there. */
  function lookAtCookie(restored: boolean): void {
    const hint = hintNow();
    const token = tokenOf(state);
    if (!token) {
      if (hint?.family && hint.raw !== seenHint) dispatch({ type: "strange-cookie" });
      return;
    }
    const finding = compareHint(hint, token);
    if (finding === "as-known") seenHint = null;
    const event = hint && hint.raw === seenHint ? null : cookieEvent(finding, restored);
    if (!event) return;
    seenHint = hint?.raw ?? null;
    dispatch(event);
  }

  // ---- life

  function wake(): void {
    if (stop) return;
    tabs.open({
      offer: () => {
        const token = state.name === "authenticated" ? state.token : null;
        return token && token.expiresAt > host.now() ? token : null;
      },
      onToken(token, login) {
        const mine = family(); // a message from before the last login or logout
        if (readsHint() && (mine === null || familyOf(token) !== mine)) return;
        dispatch(
          login ? { type: "signed-in", token, elsewhere: true } : { type: "token-from-tab", token },
        );
      },
      onEnding: (sessionId, ending) => dispatch({ type: "ended-in-tab", sessionId, ending }),
      onLogout() {
        logouts += 1;
        dispatch({ type: "logged-out-in-tab" });
      },
    });
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
      lookAtCookie(false);
      dispatch({ type: "retry" });
    } else {
      booted = true;
      boot();
    }
  }

  function boot(): void {
    const hint = hintNow();
    if (hint?.family === null) {
      owed = { token: null, family: null }; // from before the page was loaded
      void payLogout(lockMs);
      dispatch({ type: "logged-out-in-tab" });
    } else if (!hint && hintCookie === true) {
      dispatch({ type: "logged-out-in-tab" });
    } else {
      void renew(state.epoch);
    }
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

  function usableToken(minLife: boolean): Token | null | "wait" {
    switch (state.name) {
      case "booting":
        return "wait";
      case "authenticated":
      case "refreshing":
      case "unreachable": {
        const { token } = state;
        if (!token) return "wait";
        const left = token.expiresAt - host.now();
        const nearly = Math.min(NEARLY_MS, (token.expiresAt - token.receivedAt) / 4);
        if (left <= 0 || (minLife && left < nearly)) {
          dispatch({ type: "refresh-needed", usable: left > 0 });
          return "wait";
        }
        return state.name === "authenticated" || state.usable ? token : "wait";
      }
      default:
        return null;
    }
  }

  function loginUrl(returnTo?: string): string {
    const page = host.location();
    const here = page ? page.href.slice(page.origin.length) : "/";
    const to = options.loginUrl ?? ((path) => `/login?return_to=${encodeURIComponent(path)}`);
    return to(returnTo ?? here);
  }

  const session: Session = {
    start,
    getSnapshot: reporter.getSnapshot,
    subscribe: reporter.subscribe,
    on: reporter.on,
    ready: () => {
      wake();
      return reporter.ready();
    },
    loginUrl,
    retry: () => dispatch({ type: "retry" }),

    async token({ minLife = false, signal } = {}) {
      wake();
      if (state.name === "authenticated") lookAtCookie(false);
      const token = usableToken(minLife);
      return token === "wait" ? waiting.join(signal) : (token?.accessToken ?? null);
    },

    async refused({ sentWith, code }, signal) {
      if (NOT_THE_TOKEN.has(code)) return null;
      if (sentWith === null) {
        if (state.name !== "expired") return null;
        throw expiredError(state.ending);
      }
      const revoked = code === "session_revoked";
      dispatch({ type: "unauthorized", sentWith, revoked, now: host.now() });
      const owner = userIdOf(sentWith) ?? tokenOf(state)?.userId ?? null;
      const isVindicated = state.name === "authenticated" && state.token.accessToken === sentWith;
      return isVindicated ? null : waiting.join(signal, owner, sentWith);
    },

    refusedAgain: (sentWith) => dispatch({ type: "refused-again", sentWith }),

    covers(url) {
      const page = host.location()?.href;
      const target = URL.parse(url, page);
      const auth = URL.parse(authUrl, page);
      if (!target || !/^https?:$/.test(target.protocol)) return false;
      const isRoute = ["/refresh", "/token", "/logout", "/register", "/register/finish"].some(
        (route) =>
          auth && target.origin === auth.origin && target.pathname === auth.pathname + route,
      );
      const origins = [page, auth?.href, ...(options.origins ?? [])].map(
        (origin) => origin && URL.parse(origin)?.origin,
      );
      return !isRoute && origins.includes(target.origin);
    },

    async logout() {
      wake();
      logouts += 1;
      dispatch({ type: "logout" });
      await postLogout();
    },

    ...createForms({
      host,
      authUrl,
      timeoutMs,
      family,
      wake,
      locked: (work) => tabs.locked(lockMs, work),
      session: () => session,
      beginLogin: () => {
        const before = logouts;
        return async (token) => {
          if (logouts === before) return dispatch({ type: "signed-in", token, elsewhere: false });
          owed = { token: token.accessToken, family: family() }; // a logout overtook it
          await sendLogout();
          throw new ApiError(0, "logged_out", "You have logged out meanwhile.");
        };
      },
    }),
  };
  return session;

  function expiredError({ code, reason }: { code: string; reason: string | null }): Error {
    return new SessionExpiredError(code as EndCode, reason as EndReason | null, loginUrl());
  }
}

/** What to do about what the cookie tells. */
function cookieEvent(
  finding: ReturnType<typeof compareHint>,
  restored: boolean,
): SessionEvent | null {
  switch (finding) {
    case "as-known":
      return null;
    case "logged-out":
      return { type: "logged-out-in-tab" };
    case "gone":
      // Only a page from the cache may show what is no longer its user's. Elsewhere the cookie's time is
      // over, and the next refresh says so.
      return restored ? { type: "logged-out-in-tab" } : null;
    case "another":
      return restored ? { type: "strange-cookie" } : { type: "refresh-needed", usable: false };
    case "went-back":
      return { type: "refresh-needed", usable: true };
  }
}
