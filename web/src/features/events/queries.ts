import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { getEvents } from "../../api/routes.ts";

const LATEST = 12; // five lines on the overview, after the echoes are left out
const PAGE = 50;

export const latestEvents = queryOptions({
  queryKey: ["events", "latest"],
  queryFn: ({ signal }) => getEvents({ limit: LATEST }, signal),
});

export const allEvents = infiniteQueryOptions({
  queryKey: ["events", "all"],
  queryFn: ({ signal, pageParam }) => getEvents({ before: pageParam, limit: PAGE }, signal),
  initialPageParam: null as string | null,
  getNextPageParam: ({ next }) => next,
});
