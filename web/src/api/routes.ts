/** The routes that the pages read from, as docs/contract has them. Times are ISO 8601 in UTC. */
import { http } from "./http.ts";

export interface Account {
  readonly id: string;
  readonly email: string;
  readonly created_at: string;
  readonly session_id: string;
}

export interface SessionItem {
  readonly id: string;
  readonly created_at: string;
  readonly last_used_at: string;
  /** Over at this time unless it is used before. */
  readonly idle_expires_at: string;
  /** Over at this time whatever happens. */
  readonly expires_at: string;
  readonly ended_at: string | null;
  readonly ended_reason: string | null;
  readonly ip: string | null;
  readonly device: string | null;
  readonly current: boolean;
}

export interface LineageStep {
  readonly generation: number;
  readonly at: string;
  readonly kind: string;
  readonly ip: string | null;
  readonly device: string | null;
}

export interface SessionDetails extends SessionItem {
  readonly lineage: readonly LineageStep[];
}

export interface SecurityEvent {
  readonly id: string;
  readonly event: string;
  readonly at: string;
  readonly session_id: string | null;
  readonly ip: string | null;
  readonly device: string | null;
  readonly details: Readonly<Record<string, unknown>> | null;
}

export interface EventPage {
  readonly events: readonly SecurityEvent[];
  /** Where the next page begins; null: this was the last. */
  readonly next: string | null;
}

type Signal = AbortSignal | undefined;
const within = (signal: Signal): { signal?: AbortSignal } => (signal ? { signal } : {});

export async function getAccount(signal?: AbortSignal): Promise<Account> {
  return (await http.get<Account>("/auth/me", within(signal))).data;
}

export async function getSessions(signal?: AbortSignal): Promise<readonly SessionItem[]> {
  return (await http.get<SessionItem[]>("/auth/sessions", within(signal))).data;
}

export async function getSession(id: string, signal?: AbortSignal): Promise<SessionDetails> {
  const path = `/auth/sessions/${encodeURIComponent(id)}`;
  return (await http.get<SessionDetails>(path, within(signal))).data;
}

export async function getEvents(
  page: { readonly before?: string | null; readonly limit: number },
  signal?: AbortSignal,
): Promise<EventPage> {
  const params = page.before ? { before: page.before, limit: page.limit } : { limit: page.limit };
  return (await http.get<EventPage>("/auth/events", { ...within(signal), params })).data;
}

export async function endSession(id: string): Promise<void> {
  await http.delete(`/auth/sessions/${encodeURIComponent(id)}`);
}

export async function endOtherSessions(): Promise<void> {
  await http.delete("/auth/sessions");
}
