import { useEffect, useState } from "react";
import { createRoot } from "react-dom/client";
import { api, logIn, logOut } from "./api.ts";

function LogIn() {
  const [problem, setProblem] = useState("");
  async function submit(form: FormData) {
    try {
      await logIn(`${form.get("email")}`, `${form.get("password")}`);
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
      <button type="button" onClick={logOut}>
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

createRoot(document.getElementById("root") as HTMLElement).render(
  location.pathname === "/login" ? <LogIn /> : <Notes />,
);
