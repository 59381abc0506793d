/** On a server: no window, no document, no address; nothing here may make one. */
import { renderToString } from "react-dom/server";
import { expect, test, vi } from "vitest";
import { createSession } from "../../client/src/index.ts";
import {
  ConfirmDialog,
  RequireSession,
  SessionExpired,
  SessionProvider,
  useConfirm,
  useSession,
} from "../src/index.ts";

function Page() {
  const { status } = useSession();
  const { asking } = useConfirm();
  return (
    <>
      <p>{status}</p>
      <ConfirmDialog asking={asking} />
    </>
  );
}

test("it renders where there is no page, as one that does not know yet, and asks nobody", () => {
  const fetch = vi.spyOn(globalThis, "fetch");
  expect(["window", "document", "location"].filter((name) => name in globalThis)).toEqual([]);

  const html = renderToString(
    <SessionProvider session={createSession()}>
      <Page />
      <RequireSession fallback="one moment">private</RequireSession>
      <SessionExpired />
    </SessionProvider>,
  );

  expect(html).toBe("<p>booting</p>one moment");
  expect(fetch).not.toHaveBeenCalled();
});
