/** A page with nothing but the packages: what they show of themselves, nobody has styled. */
import { createSession } from "@batonpass/client";
import { createFetch } from "@batonpass/client/fetch";
import { RequireSession, SessionExpired, SessionProvider } from "@batonpass/react";
import { createRoot } from "react-dom/client";

const session = createSession();
const authFetch = createFetch(session);

function Page() {
  return (
    <main>
      <h1>The page beneath</h1>
      <RequireSession anonymous={() => <p>Nobody is signed in.</p>}>
        <button type="button" onClick={() => void authFetch("/auth/me").catch(() => {})}>
          Load
        </button>
        <a href="/healthz">Elsewhere</a>
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
