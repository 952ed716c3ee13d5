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
