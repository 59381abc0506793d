import {
  queryOptions,
  type UseMutationResult,
  useMutation,
  useQueryClient,
} from "@tanstack/react-query";
import {
  endOtherSessions,
  endSession,
  getSession,
  getSessions,
  type SessionItem,
} from "../../api/routes.ts";

export const sessions = queryOptions({
  queryKey: ["sessions", "list"],
  queryFn: ({ signal }) => getSessions(signal),
});

export const session = (id: string) =>
  queryOptions({
    queryKey: ["sessions", "one", id],
    queryFn: ({ signal }) => getSession(id, signal),
  });

/** Ends one session; it stays in the list, with why. */
export function useEndSession(): UseMutationResult<void, Error, string> {
  return useEnding(endSession, (item, id) => item.id === id);
}

export function useEndOtherSessions(): UseMutationResult<void, Error, void> {
  return useEnding(endOtherSessions, (item) => !item.current);
}

function useEnding<Which>(
  end: (which: Which) => Promise<void>,
  isMeant: (item: SessionItem, which: Which) => boolean,
): UseMutationResult<void, Error, Which> {
  const cache = useQueryClient();
  return useMutation({
    mutationFn: end,
    onSuccess(_, which) {
      const ended = { ended_at: new Date().toISOString(), ended_reason: "revoked" };
      cache.setQueryData(sessions.queryKey, (items) =>
        items?.map((item) =>
          item.ended_at === null && isMeant(item, which) ? { ...item, ...ended } : item,
        ),
      );
      // Not waited for: the dialog may close now, the server's own word follows.
      void cache.invalidateQueries({ queryKey: ["sessions"] });
      void cache.invalidateQueries({ queryKey: ["events"] });
    },
  });
}
