/** A page with nothing but the packages: what they show of themselves, nobody has styled. */
import { createSession } from "@batonpass/client";
import { createFetch } from "@batonpass/client/fetch";
import {
  ConfirmDialog,
  RequireSession,
  SessionExpired,
  SessionProvider,
  useConfirm,
} from "@batonpass/react";
import { useState } from "react";
import { createRoot } from "react-dom/client";

const session = createSession();
const authFetch = createFetch(session);

function Dangerous() {
  const { confirmed, asking } = useConfirm();
  const [done, setDone] = useState("");
  async function erase() {
    const answer = await confirmed(() => authFetch("/react-page-dangerous", { method: "POST" }));
    setDone(answer.ok ? "All is erased." : "Nothing was erased.");
  }
  return (
    <>
      <button type="button" onClick={erase}>
        Erase all
      </button>
      <p>{done}</p>
      <ConfirmDialog asking={asking} />
    </>
  );
}

function Page() {
  return (
    <main>
      <h1>The page beneath</h1>
      <RequireSession anonymous={() => <p>Nobody is signed in.</p>}>
        <button type="button" onClick={() => void authFetch("/auth/me").catch(() => {})}>
          Load
        </button>
        <a href="/healthz">Elsewhere</a>
        <Dangerous />
      </RequireSession>
    </main>
  );
}

createRoot(document.querySelector("#root") as Element).render(
  <SessionProvider session={session}>
    <Page />
    <SessionExpired />
  </SessionProvider>,
);
Object.assign(globalThis, { session }); // a test logs in by hand
