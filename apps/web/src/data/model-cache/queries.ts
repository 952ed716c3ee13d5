import { unwrap } from "@plasma/client/client";
import { queryOptions } from "@tanstack/react-query";

import { api } from "@/data/api";

import { modelCacheKeys } from "./keys";

export const modelCacheQuery = queryOptions({
  queryKey: modelCacheKeys.settings,
  queryFn: ({ signal }) => unwrap(api.GET("/api/v1/models/cache", { signal })),
});

export const modelCacheUsageQuery = (days: number) =>
  queryOptions({
    queryKey: modelCacheKeys.usage(days),
    queryFn: async ({ signal }) => (await unwrap(api.GET("/api/v1/models/cache/usage", { params: { query: { days } }, signal }))).models,
  });
