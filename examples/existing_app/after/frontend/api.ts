import { createSession } from "@batonpass/client";
import { attach } from "@batonpass/client/axios";
import axios from "axios";

export const session = createSession();
export const api = attach(axios.create({ baseURL: "/" }), session);

/** A token of before the move becomes a session, once; while the server is away it waits. */
export async function moveIn(): Promise<void> {
  const token = localStorage.getItem("token");
  if (token === null) return;
  const headers = { Authorization: `Bearer ${token}` };
  const { status } = await fetch("/auth/upgrade", { method: "POST", headers });
  if (status === 200 || status === 401) localStorage.removeItem("token");
}
