import { test as base, type TestAPI } from "vitest";
import { type Browser, startBrowser, type Tab } from "./browser.ts";
import { type Server, startServer } from "./server.ts";

export const ANNA = { email: "anna@example.com", password: "secret" } as const;
export const BERT = { email: "bert@example.com", password: "secret" } as const;

/** A server, a browser, and a tab of it in which Anna is signed in. */
interface World {
  readonly server: Server;
  readonly browser: Browser;
  readonly tab: Tab;
}

export const test: TestAPI<World> = base.extend<World>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads the dependencies from the pattern
  server: async ({}, use) => {
    const server = await startServer();
    await use(server);
    await server.close();
  },
  browser: async ({ server }, use) => {
    const browser = startBrowser(server);
    await use(browser);
    browser.close();
  },
  tab: async ({ server, browser }, use) => {
    const tab = browser.open();
    await tab.session.login(ANNA);
    server.forget();
    await use(tab);
  },
});

/** Until it is so; fails after a second. */
export async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; !condition(); tries += 1) {
    if (tries > 200) throw new Error(`Never came true: ${condition}`);
    await new Promise((later) => setTimeout(later, 5));
  }
}
