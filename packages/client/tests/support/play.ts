/** Plays a script on the browser of threads and the model server, and tells what it broke. */
import { createInvariants, familyOf } from "./invariants.ts";
import type { On } from "./messages.ts";
import { createModel, type Reply, refuse } from "./model.ts";
import type { Fate, Script, Step } from "./script.ts";
import type { Jar } from "./shared.ts";
import type { Exchange, Job, Threads } from "./threads.ts";

/** Chromium writes its cookie jar every ~30 s. */
const FLUSH_MS = 30_000;

/** No connection stalls for longer: less than the server's grace. */
const STALL_MS = 20_000;

/** More than any honest calm needs. */
const CALM_STEPS = 300;

export interface Play {
  readonly broken: readonly string[];
  /** What happened, a line each. */
  readonly trace: readonly string[];
}

export async function play(browser: Threads, script: Script): Promise<Play> {
  const { shared, threads, exchanges } = browser;
  const trace: string[] = [];
  const note = (line: string): void => void trace.push(`${Math.round(shared.now())}  ${line}`);
  const invariants = createInvariants(browser);
  const model = createModel(shared.now, (family, verdict, presented) => {
    note(`  ${presented}: ${verdict}`);
    invariants.ruled(family, verdict, presented);
  });
  let disk: Jar = {};
  let flushedAt = shared.now();
  /** Steps between two rests are at once: who was first cannot be said. */
  let burst = 0;
  /** Of logins whose outcome is not here yet: in which burst they were asked for. */
  const logins = new Map<Job, number>();
  const logouts: number[] = [];
  /** Logins that were under way when another was answered. */
  const contested = new Set<Exchange>();

  const isAwake = (tab: number): boolean => threads[tab]?.page !== null && !shared.isFrozen(tab);
  const loginOf = (tab: number): Job | undefined =>
    [...logins.keys()].find((job) => job.how === null && job.page === threads[tab]?.page);

  async function rest(): Promise<void> {
    await browser.rest();
    burst += 1;
    invariants.atRest(model);
    if (shared.now() - flushedAt >= FLUSH_MS) flush();
  }

  function flush(): void {
    disk = shared.jar();
    flushedAt = shared.now();
  }

  // ---- the network

  function letGo(exchange: Exchange, fate: Fate): void {
    note(`  ${exchange.path} of tab ${exchange.tab} ${exchange.reply ? "back" : "out"}: ${fate}`);
    if (exchange.reply) arriveBack(exchange, fate === "lost");
    else if (fate === "lost") browser.deliver(exchange, null);
    else exchange.reply = replyTo(exchange, fate);
  }

  /** In an order that no race between the tabs decides. */
  const underWay = (): Exchange[] => [...exchanges].sort((a, b) => a.tab - b.tab || a.id - b.id);

  function replyTo(exchange: Exchange, fate: Fate): Reply {
    if (fate === "unreachable") return refuse(503, "unavailable");
    const isRefresh = exchange.path === "/auth/refresh";
    if (fate === "superseded" && isRefresh) return refuse(409, "refresh_superseded");
    return serve(exchange);
  }

  function serve(exchange: Exchange): Reply {
    const isLogin = exchange.path === "/auth/token";
    const replaced = familyOf(exchange.cookie);
    if (isLogin && replaced !== null) invariants.endedByWish([replaced]);
    const reply = model.answer(exchange);
    if (isLogin) {
      invariants.expected = null; // until its answer is here
      const since = begun(exchange);
      const id = familyOf(reply.cookies?.refresh_token);
      if (id && logouts.some((at) => at > since)) invariants.loggedOut([id]);
      if (id && logouts.includes(since)) invariants.endedByWish([id]);
    }
    return reply;
  }

  /** In which burst the login was asked for. */
  const begun = ({ page, tab }: Exchange): number => {
    const asked = [...logins].filter(([job]) => job.page === page && job.tab === tab);
    return asked.at(-1)?.[1] ?? burst;
  };

  function arriveBack(exchange: Exchange, isLost: boolean): void {
    const { path, reply = null, aborted } = exchange;
    browser.deliver(exchange, isLost ? null : reply);
    const id = familyOf(reply?.cookies?.refresh_token);
    if (path === "/auth/token" && id !== null && !isLost && !aborted) arrived(exchange, id);
  }

  /** A login's answer, and with it the cookie, is in the browser. */
  function arrived(exchange: Exchange, id: string): void {
    const since = begun(exchange);
    const isOpen = threads.some(({ page }) => page === exchange.page);
    // With the tab that would have ended it closed, or the logout a moment ago: nobody can say.
    if (!isOpen || logouts.includes(burst)) invariants.broughtBack(id);
    const isOver = logouts.some((at) => at >= since) || model.families.get(id)?.ended !== null;
    const isAtStake = isContested(exchange);
    if (isAtStake) invariants.endedByWish([id]);
    invariants.expected = isOpen && !isOver && !isAtStake ? id : null;
  }

  /** Without the lock, another change of the cookie is under way: which of them stays, nobody can say. */
  function isContested(exchange: Exchange): boolean {
    const others = exchanges.filter(({ aborted }) => !aborted);
    const logins = others.filter(({ path }) => path === "/auth/token");
    for (const login of logins) contested.add(login);
    const isLogout = ({ path, page }: Exchange) =>
      path === "/auth/logout" && page !== exchange.page;
    return contested.has(exchange) || logins.length > 0 || others.some(isLogout);
  }

  // ---- the steps

  function logOut(tab: number): void {
    browser.ask(tab, "logout");
    logouts.push(burst);
    invariants.expected = null;
    invariants.loggedOut(model.families.keys());
  }

  function pass(ms: number): void {
    for (const exchange of [...exchanges]) {
      if (shared.now() + ms - exchange.leftAt > STALL_MS) browser.deliver(exchange, null);
    }
    browser.advance(ms);
  }

  function crash(): void {
    for (const exchange of exchanges) exchange.aborted = true;
    for (const { tab } of threads) {
      browser.thaw(tab);
      browser.close(tab);
    }
    shared.change(() => disk);
    const family = familyOf(disk.refresh_token);
    if (family !== null) invariants.broughtBack(family);
    invariants.expected = null;
  }

  const perform: On<Step, "do"> = {
    open: ({ tab }) => browser.open(tab),
    close({ tab }) {
      browser.thaw(tab);
      browser.close(tab);
    },
    freeze({ tab }) {
      if (isAwake(tab) && !loginOf(tab)) browser.freeze(tab);
    },
    thaw: ({ tab }) => browser.thaw(tab),
    request({ tab }) {
      if (isAwake(tab)) browser.ask(tab, "request");
    },
    logout({ tab }) {
      if (isAwake(tab)) logOut(tab);
    },
    login({ tab, user }) {
      const job = isAwake(tab) && !loginOf(tab) ? browser.ask(tab, "login", user) : null;
      if (job) logins.set(job, burst);
    },
    wake({ tab, what }) {
      if (isAwake(tab)) browser.wake(tab, what);
    },
    expire: () => model.expireAccessTokens(),
    revoke() {
      invariants.endedByWish(model.families.keys());
      invariants.expected = null;
      model.revokeAll();
    },
    offline() {
      browser.online = false;
      for (const exchange of [...exchanges]) browser.deliver(exchange, null);
    },
    online() {
      browser.online = true;
      for (const { tab } of threads) if (isAwake(tab)) browser.wake(tab, "online");
    },
    "jar-back"() {
      if (isOfOneSession(shared.jar(), disk)) shared.change(() => disk);
    },
    crash,
    time: ({ ms }) => pass(ms),
    flow() {
      for (const exchange of underWay()) letGo(exchange, "well");
    },
    net({ pick, fate }) {
      const inOrder = underWay();
      const exchange = inOrder[Math.floor(pick * inOrder.length)];
      if (exchange) letGo(exchange, fate);
    },
  };

  const take = (step: Step): void => (perform[step.do] as (step: Step) => void)(step);

  const isAnybodyWaiting = (): boolean => {
    const open = new Set(threads.map(({ page }) => page));
    return browser.jobs.some(({ how, page }) => how === null && open.has(page));
  };

  /** No fault any more: all that is under way gets through, and time goes on as long as somebody waits. */
  async function calm(): Promise<void> {
    for (let steps = 0; steps < CALM_STEPS; steps += 1) {
      await rest();
      const due = Math.min(...threads.map(({ tab }) => shared.due(tab)));
      if (exchanges.length > 0) take({ do: "flow" });
      else if (isAnybodyWaiting() && Number.isFinite(due)) pass(Math.max(due - shared.now(), 0));
      else return;
    }
  }

  async function end(): Promise<void> {
    note("calm");
    for (const { tab } of threads) browser.thaw(tab);
    take({ do: "online" });
    await calm();
    for (const { tab } of threads) if (isAwake(tab)) browser.wake(tab, "visible");
    await calm();
    for (const { tab } of threads) browser.ask(tab, "request");
    await calm();
    invariants.atTheEnd();
  }

  await browser.begin({
    left: invariants.left,
    changed: ({ tab, snapshot }) => note(`  tab ${tab}: ${JSON.stringify(snapshot)}`),
  });
  for (const { tab } of threads) browser.open(tab);
  await calm();
  take({ do: "login", tab: 0, user: "anna" });
  await calm();
  flush();
  for (const step of script) {
    note(JSON.stringify(step));
    take(step);
    if (step.rest) await rest();
    if (invariants.broken.length > 0) return { broken: invariants.broken, trace };
  }
  await end();
  return { broken: invariants.broken, trace };
}

/** Only then may a jar go back beneath living pages: a late answer put it back. */
const isOfOneSession = (...[one, other]: readonly [Jar, Jar]): boolean =>
  (["refresh_token", "session_state"] as const).every(
    (name) => familyOf(one[name]) !== null && familyOf(one[name]) === familyOf(other[name]),
  );
