import {
  createRootRoute,
  createRoute,
  createRouter,
  Outlet,
  RouterProvider,
} from "@tanstack/react-router";
import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { afterEach, expect, test, vi } from "vitest";
import { FinishRegistrationPage } from "./FinishRegistrationPage.tsx";

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

interface Posted {
  readonly url: string;
  readonly body: unknown;
}

/** Opens an address in a browser of which only the network is not real; answers with what was sent. */
function open(address: string, answer: () => Response): Posted[] {
  const posted: Posted[] = [];
  vi.stubGlobal("fetch", async (url: string, { body }: RequestInit) => {
    posted.push({ url, body: JSON.parse(String(body)) });
    return answer();
  });
  window.history.pushState(null, "", address);
  const root = createRootRoute({ component: Outlet });
  const page = (path: string, component: () => React.ReactElement) =>
    createRoute({ getParentRoute: () => root, path, component });
  const routeTree = root.addChildren([
    page("/register/finish", FinishRegistrationPage),
    page("/register", () => <p>The form</p>),
    page("/login", () => <p>The login</p>),
  ]);
  render(<RouterProvider router={createRouter({ routeTree }) as never} />);
  return posted;
}

const refused = (status: number, code: string) => () =>
  Response.json({ detail: "The server's sentence.", code }, { status });
const created = () => Response.json({ id: "1" }, { status: 201 });

const press = async (): Promise<boolean> =>
  fireEvent.click(await screen.findByRole("button", { name: "Create account" }));

test("the token leaves the address before anything else happens, and is still good", async () => {
  const posted = open("/register/finish#token=aZ_-09", created);

  await waitFor(() => expect(window.location.hash).toBe(""));
  expect(window.location.pathname).toBe("/register/finish");
  expect(posted).toEqual([]);
  await press();

  await screen.findByRole("status");
  expect(posted).toEqual([{ url: "/auth/register/finish", body: { token: "aZ_-09" } }]);
});

test("a link that is over leads to a new one", async () => {
  open("/register/finish#token=abc", refused(410, "link_expired"));

  await press();

  await screen.findByText(/expired, or was used already/);
  fireEvent.click(screen.getByRole("link", { name: "Create account" }));
  expect(await screen.findByText("The form")).toBeTruthy();
});

test("a server without new accounts says so", async () => {
  open("/register/finish#token=abc", refused(403, "registration_closed"));

  await press();

  expect((await screen.findByRole("alert")).textContent).toContain("New accounts are closed here");
});

test("an answer that is not the server's is no success", async () => {
  open("/register/finish#token=abc", () => new Response("<p>A proxy", { status: 502 }));

  await press();

  expect((await screen.findByRole("alert")).textContent).toContain("can't reach the server");
});
