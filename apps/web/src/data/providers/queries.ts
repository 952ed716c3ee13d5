import { unwrap } from "@plasma/client/client";
import { queryOptions } from "@tanstack/react-query";

import { api } from "@/data/api";
import { LIMIT_MAX } from "@/data/pages";

import { providerKeys } from "./keys";

export const providersQuery = queryOptions({
  queryKey: providerKeys.all,
  queryFn: async ({ signal }) => (await unwrap(api.GET("/api/v1/providers", { params: { query: { limit: LIMIT_MAX } }, signal }))).data,
});
