import { RequireSession, SessionExpired, SessionProvider, useSession } from "@batonpass/react";
import { useEffect, useState } from "react";
import { createRoot } from "react-dom/client";
import { api, moveIn, session } from "./api.ts";

function LogIn() {
  const [problem, setProblem] = useState("");
  async function submit(form: FormData) {
    try {
      await session.login({ email: `${form.get("email")}`, password: `${form.get("password")}` });
      location.replace("/");
    } catch {
      setProblem("The e-mail or the password is wrong.");
    }
  }
  return (
    <form action={submit}>
      <label>
        Email <input name="email" type="email" autoComplete="username" required />
      </label>
      <label>
        Password <input name="password" type="password" autoComplete="current-password" required />
      </label>
      <button type="submit">Log in</button>
      <p role="alert">{problem}</p>
    </form>
  );
}

function Notes() {
  const { logout } = useSession();
  const [notes, setNotes] = useState<readonly string[]>([]);
  const load = () =>
    api.get<string[]>("/notes").then(
      ({ data }) => setNotes(data),
      () => {},
    );
  useEffect(() => void load(), []);
  async function add(form: FormData) {
    await api.post("/notes", null, { params: { text: form.get("text") } });
    await load();
  }
  return (
    <main>
      <button type="button" onClick={logout}>
        Log out
      </button>
      <ul>
        {notes.map((note) => (
          <li key={note}>{note}</li>
        ))}
      </ul>
      <form action={add}>
        <label>
          Note <input name="text" required />
        </label>
        <button type="submit">Add</button>
      </form>
    </main>
  );
}

await moveIn().catch(() => {}); // the server is away: the token waits for the next page
createRoot(document.getElementById("root") as HTMLElement).render(
  <SessionProvider session={session}>
    {location.pathname === "/login" ? (
      <LogIn />
    ) : (
      <RequireSession>
        <Notes />
      </RequireSession>
    )}
    <SessionExpired />
  </SessionProvider>,
);
