import { unwrap } from "@plasma/client/client";
import { queryOptions } from "@tanstack/react-query";

import { api } from "@/data/api";
import { LIMIT_MAX } from "@/data/pages";

import { modelKeys } from "./keys";

export const modelsQuery = queryOptions({
  queryKey: modelKeys.all,
  queryFn: async ({ signal }) => (await unwrap(api.GET("/api/v1/models", { params: { query: { limit: LIMIT_MAX } }, signal }))).data,
  // A local model goes between "idle" and "ready" without an event.
  refetchInterval: 20_000,
});

/** How models at providers have been doing, as the server that answers saw it. */
export const modelHealthQuery = queryOptions({
  queryKey: [...modelKeys.all, "health"],
  queryFn: async ({ signal }) => (await unwrap(api.GET("/api/v1/models/health", { signal }))).data,
  refetchInterval: 10_000,
});
