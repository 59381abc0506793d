/**
 * What has been read from the server, one cache per user: it goes when he does, by a logout, in
 * another tab too, or because somebody else is signed in.
 */
import { QueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { failureOf } from "../api/failure.ts";
import { session } from "../api/session.ts";

const FRESH_MS = 5_000; // one visit of a page asks once, the next asks again
const TRIES = 2;

function newCache(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: FRESH_MS,
        networkMode: "always", // the session knows better than the browser whether the server is there
        retry: (failures, error) => failureOf(error) === "away" && failures < TRIES,
      },
      mutations: { networkMode: "always" },
    },
  });
}

interface Cache {
  /** Null while nobody knows yet who is signed in. */
  readonly owner: string | null;
  readonly client: QueryClient;
  /** Another number, other components: none keeps what it was shown for somebody else. */
  readonly key: number;
}

export function usePrivateCache(userId: string | null): Cache {
  const [cache, setCache] = useState<Cache>(() => ({ owner: userId, client: newCache(), key: 0 }));
  const current = ownedBy(cache, userId);
  if (current !== cache) setCache(current);
  const { client } = current;

  useEffect(() => {
    const stopRestored = session.on("restored", () => void askAgain(client));
    return () => {
      stopRestored();
      client.clear();
    };
  }, [client]);

  return current;
}

/** The server is back: what waits for its next try need not wait for it any longer. */
async function askAgain(client: QueryClient): Promise<void> {
  await client.cancelQueries({ predicate: ({ state }) => state.fetchFailureCount > 0 });
  await client.invalidateQueries();
}

function ownedBy(cache: Cache, userId: string | null): Cache {
  if (userId === null || cache.owner === userId) return cache;
  if (cache.owner === null) return { ...cache, owner: userId };
  return { owner: userId, client: newCache(), key: cache.key + 1 };
}
