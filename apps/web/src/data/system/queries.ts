import { unwrap } from "@plasma/client/client";
import type { Job } from "@plasma/client/types";
import { queryOptions } from "@tanstack/react-query";

import { api } from "@/data/api";

import { systemKeys } from "./keys";

export const overviewQuery = queryOptions({
  queryKey: systemKeys.overview,
  queryFn: ({ signal }) => unwrap(api.GET("/api/v1/overview", { signal })),
  refetchInterval: 30_000,
});

/** The newest events; later ones come over the live connection. */
export const recentEventsQuery = queryOptions({
  queryKey: systemKeys.events,
  queryFn: async ({ signal }) => (await unwrap(api.GET("/api/v1/events", { params: { query: { limit: 30 } }, signal }))).data,
});

export const jobsQuery = (state: Job["state"]) =>
  queryOptions({
    queryKey: [...systemKeys.jobs, state],
    queryFn: async ({ signal }) => (await unwrap(api.GET("/api/v1/jobs", { params: { query: { state, limit: 20 } }, signal }))).data,
    // Progress of a job has no event of its own.
    refetchInterval: state === "running" ? 3000 : 15_000,
  });
