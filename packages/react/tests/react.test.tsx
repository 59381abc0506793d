import { describe, expect, onTestFinished, vi } from "vitest";
import { createFetch } from "../../client/src/fetch.ts";
import { ANNA, test, until } from "../../client/tests/support/world.ts";
import {
  type Confirm,
  ConfirmDialog,
  RequireSession,
  SessionExpired,
  SessionProvider,
  useConfirm,
  useSession,
} from "../src/index.ts";
import { render, settled, shown, visit } from "./support/page.tsx";

function Status() {
  const { status, userId } = useSession();
  return (
    <p>
      {status} {userId}
    </p>
  );
}

function LogoutButton() {
  const { logout } = useSession();
  return (
    <button type="button" onClick={logout}>
      Log out
    </button>
  );
}

const Guarded = () => (
  <RequireSession fallback="one moment" anonymous={(url) => `go to ${url}`}>
    private
  </RequireSession>
);

describe("useSession", () => {
  test("renders again with every change", async ({ tab }) => {
    const page = await render(
      <SessionProvider session={tab.session}>
        <Status />
      </SessionProvider>,
    );
    expect(page.text()).toBe(`authenticated ${ANNA.email}`);

    await settled(() => tab.session.logout());

    expect(page.text()).toBe("anonymous ");
  });

  test("logs out", async ({ server, tab }) => {
    const page = await render(
      <SessionProvider session={tab.session}>
        <LogoutButton />
      </SessionProvider>,
    );

    await settled(() =>
      page.find("button")?.dispatchEvent(new MouseEvent("click", { bubbles: true })),
    );
    await settled(() => until(() => tab.session.getSnapshot().status === "anonymous"));

    expect(server.count("/auth/logout")).toBe(1);
  });

  test("outside a provider says what is missing", async () => {
    vi.spyOn(console, "error").mockImplementation(() => {});

    await expect(render(<Status />)).rejects.toThrow(
      "useSession needs a <SessionProvider> above it.",
    );
  });
});

describe("SessionProvider", () => {
  test("in StrictMode boots once, and stops with its last unmount", async ({
    server,
    browser,
    tab,
  }) => {
    const { session } = browser.openStopped();
    tab.close();
    const page = await render(
      <SessionProvider session={session}>
        <Status />
      </SessionProvider>,
    );
    await settled(() => session.ready());
    expect(server.count("/auth/refresh")).toBe(1);

    page.unmount();
    await new Promise((later) => setTimeout(later, 10));
    await browser.open().session.logout();
    await new Promise((later) => setTimeout(later, 20));

    expect(session.getSnapshot().status).toBe("authenticated");
  });
});

describe("RequireSession", () => {
  test("shows neither page while nobody knows", async ({ server, browser }) => {
    const letGo = server.hold("/auth/refresh");
    const { session } = browser.open();

    const page = await render(
      <SessionProvider session={session}>
        <Guarded />
      </SessionProvider>,
    );

    expect(page.text()).toBe("one moment");
    letGo();
    await settled(() => session.ready());
    expect(page.text()).toBe("go to /login?return_to=%2Finbox%3Fpage%3D2");
  });

  test("shows no login page when a signed-in user reloads", async ({ server, browser, tab }) => {
    tab.close();
    const letGo = server.hold("/auth/refresh");
    const { session } = browser.open();
    const shown: string[] = [];
    const Recorded = () => {
      const { status } = useSession();
      shown.push(status);
      return <Guarded />;
    };
    const page = await render(
      <SessionProvider session={session}>
        <Recorded />
      </SessionProvider>,
    );
    expect(page.text()).toBe("one moment");

    letGo();
    await settled(() => session.ready());

    expect(page.text()).toBe("private");
    expect(new Set(shown)).toEqual(new Set(["booting", "authenticated"]));
  });

  // The second: a page that is served for every path would go there without end.
  test.for([
    { path: "/inbox", goes: [["/login?return_to=%2Finbox%3Fpage%3D2"]] },
    { path: "/login?return_to=%2Finbox", goes: [] },
  ])("by default, at $path, goes to $goes", async ({ path, goes }, { browser }) => {
    visit(path);
    const replace = vi.spyOn(location, "replace").mockImplementation(() => {});
    onTestFinished(() => replace.mockRestore());
    const { session } = browser.open();

    const page = await render(
      <SessionProvider session={session}>
        <RequireSession>private</RequireSession>
      </SessionProvider>,
    );
    await settled(() => session.ready());

    expect(page.text()).toBe("");
    expect(replace.mock.calls.slice(0, 1)).toEqual(goes); // StrictMode runs an effect twice
  });

  test("keeps the page while the server is away and after the end", async ({ server, tab }) => {
    const page = await render(
      <SessionProvider session={tab.session}>
        <Guarded />
      </SessionProvider>,
    );
    server.expireAccessTokens();
    server.fault("/auth/refresh", (_, response) => response.writeHead(503).end(), 1);
    await settled(() => tab.api.get("/api/items").catch(() => {}));
    expect(tab.session.getSnapshot().status).toBe("unreachable");
    expect(page.text()).toBe("private");

    server.endSessions("revoked");
    tab.session.retry();
    await settled(() => until(() => tab.session.getSnapshot().status === "expired"));

    expect(page.text()).toBe("private");
  });

  test("shows nothing private from the click on log out on", async ({ server, tab }) => {
    const page = await render(
      <SessionProvider session={tab.session}>
        <Guarded />
      </SessionProvider>,
    );
    const letGo = server.hold("/auth/logout");

    await settled(() => void tab.session.logout());

    expect(page.text()).toBe("one moment");
    letGo();
  });
});

describe("SessionExpired", () => {
  test("is a modal dialog whose alert says so, with the link", async ({ server, tab }) => {
    const page = await render(
      <SessionProvider session={tab.session}>
        <SessionExpired className="mine" />
      </SessionProvider>,
    );
    expect(page.find("dialog")).toBeNull();
    server.endSessions("revoked");

    await settled(() => tab.api.get("/api/items").catch(() => {}));

    const dialog = page.find("dialog.mine");
    const alert = dialog?.querySelector('[role="alert"]');
    const link = alert?.querySelector("a");
    expect(dialog?.hasAttribute("open")).toBe(true);
    expect(alert?.textContent).toContain("Your session has expired");
    expect(
      document.getElementById(dialog?.getAttribute("aria-labelledby") ?? "")?.textContent,
    ).toBe("Your session has expired");
    expect(link?.textContent).toBe("Log in");
    expect(link?.getAttribute("href")).toBe("/login?return_to=%2Finbox%3Fpage%3D2");
  });

  test("does not stand in the way of the login", async ({ server, tab }) => {
    visit("/login?return_to=%2Finbox");
    const page = await render(
      <SessionProvider session={tab.session}>
        <SessionExpired />
      </SessionProvider>,
    );
    server.endSessions("revoked");

    await settled(() => tab.api.get("/api/items").catch(() => {}));

    expect(tab.session.getSnapshot().status).toBe("expired");
    expect(page.find("dialog")).toBeNull();
  });

  test("goes when somebody logs in, here or elsewhere", async ({ server, browser, tab }) => {
    const page = await render(
      <SessionProvider session={tab.session}>
        <SessionExpired />
      </SessionProvider>,
    );
    server.endSessions("revoked");
    await settled(() => tab.api.get("/api/items").catch(() => {}));

    await settled(async () => {
      await browser.open().session.login(ANNA);
      await until(() => tab.session.getSnapshot().status === "authenticated");
    });

    expect(page.find("dialog")).toBeNull();
  });

  test("gives your own alert what it needs", async ({ server, tab }) => {
    const page = await render(
      <SessionProvider session={tab.session}>
        <SessionExpired>
          {({ loginUrl, code, reason }) => `${code} ${reason} ${loginUrl}`}
        </SessionExpired>
      </SessionProvider>,
    );
    server.endSessions("password");

    await settled(() => tab.api.get("/api/items").catch(() => {}));

    expect(page.text()).toBe("refresh_revoked password /login?return_to=%2Finbox%3Fpage%3D2");
  });
});

describe("useConfirm", () => {
  let asks: Confirm;

  function Asks() {
    asks = useConfirm();
    return <ConfirmDialog asking={asks.asking} className="mine" />;
  }

  /** A page with the dialog, and what a user does with it. */
  async function renderAsks(session: Parameters<typeof SessionProvider>[0]["session"]) {
    const page = await render(
      <SessionProvider session={session}>
        <Asks />
      </SessionProvider>,
    );
    const isOpen = () => page.find("dialog.mine") !== null;
    return {
      ...page,
      isOpen,
      asked: () => shown(isOpen),
      async answer(password: string) {
        const field = page.find("input");
        if (field) (field as HTMLInputElement).value = password;
        await settled(() =>
          page
            .find("form")
            ?.dispatchEvent(new Event("submit", { bubbles: true, cancelable: true })),
        );
        await shown(() => !asks.asking?.busy);
      },
    };
  }

  test.for(["axios", "fetch"])(
    "asks for the password when %s was told to, then goes on",
    async (binding, { server, tab }) => {
      const fetch = createFetch(tab.session);
      const work = async (): Promise<{ readonly status: number }> =>
        binding === "axios"
          ? tab.api.get("/api/confirm-first")
          : fetch(`${server.origin}/api/confirm-first`);
      const page = await renderAsks(tab.session);
      const done = asks.confirmed(work);
      await page.asked();

      await page.answer("secret");

      await expect(done).resolves.toMatchObject({ status: 200 });
      expect(page.isOpen()).toBe(false);
      expect(server.count("/auth/confirm")).toBe(1);
      expect(server.count("/auth/refresh")).toBe(0);
    },
  );

  test("stays open over a wrong password, and says so", async ({ tab }) => {
    const page = await renderAsks(tab.session);
    const done = asks.confirmed(() => tab.api.get("/api/confirm-first"));
    await page.asked();

    await page.answer("wrong");
    expect(page.find('[role="alert"]')?.textContent).toBe("No: wrong_password");
    await page.answer("secret");

    await expect(done).resolves.toMatchObject({ status: 200 });
  });

  test("cancelled, it hands on the refusal that began it", async ({ server, tab }) => {
    const page = await renderAsks(tab.session);
    const done = asks.confirmed(() => tab.api.get("/api/confirm-first")).catch((error) => error);
    await page.asked();

    await settled(() => asks.asking?.cancel());

    expect(await done).toMatchObject({ response: { data: { code: "login_required_again" } } });
    expect(page.isOpen()).toBe(false);
    expect(server.count("/api/confirm-first")).toBe(1);
  });

  test("cancelled, it closes while still in the page: the focus finds its way back", async ({
    tab,
  }) => {
    const page = await renderAsks(tab.session);
    void asks.confirmed(() => tab.api.get("/api/confirm-first")).catch(() => {});
    await page.asked();
    const dialog = page.find("dialog");
    let wasThere: boolean | undefined;
    dialog?.addEventListener("close", () => {
      wasThere = dialog.isConnected;
    });

    await settled(() => asks.asking?.cancel());

    expect(wasThere).toBe(true);
  });

  test("asks once, however many wait", async ({ server, tab }) => {
    const page = await renderAsks(tab.session);
    const work = () => tab.api.get("/api/confirm-first");
    const all = Promise.all([asks.confirmed(work), asks.confirmed(work)]);
    await page.asked();
    await shown(() => server.count("/api/confirm-first") === 2);
    await settled(() => new Promise((later) => setTimeout(later, 20)));

    await page.answer("secret");

    await expect(all).resolves.toHaveLength(2);
    expect(server.count("/auth/confirm")).toBe(1);
  });

  test("whoever waits is told when the page goes", async ({ tab }) => {
    const page = await renderAsks(tab.session);
    const done = asks.confirmed(() => tab.api.get("/api/confirm-first")).catch((error) => error);
    await page.asked();

    await settled(page.unmount);

    expect(await done).toMatchObject({ response: { status: 401 } });
  });

  test("leaves everything else alone", async ({ tab }) => {
    const page = await renderAsks(tab.session);

    await expect(asks.confirmed(async () => "done")).resolves.toBe("done");
    await expect(asks.confirmed(() => Promise.reject(new Error("mine")))).rejects.toThrow("mine");
    expect(page.isOpen()).toBe(false);
  });

  test("names the dialog and its field", async ({ tab }) => {
    const page = await renderAsks(tab.session);
    void asks.confirmed(() => tab.api.get("/api/confirm-first")).catch(() => {});
    await page.asked();

    const dialog = page.find("dialog.mine");
    const title = document.getElementById(dialog?.getAttribute("aria-labelledby") ?? "");
    expect(title?.textContent).toBe("Please confirm that it is you");
    expect(page.find("label")?.textContent?.trim()).toBe("Password");
    expect(page.find("label")?.contains(page.find("input[type=password]"))).toBe(true);
  });
});
