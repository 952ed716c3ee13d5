import { unwrap } from "@plasma/client/client";
import { queryOptions } from "@tanstack/react-query";

import { api } from "@/data/api";
import { LIMIT_MAX } from "@/data/pages";

import { limitKeys } from "./keys";

export const limitsQuery = queryOptions({
  queryKey: limitKeys.all,
  queryFn: async ({ signal }) => (await unwrap(api.GET("/api/v1/models/limits", { params: { query: { limit: LIMIT_MAX } }, signal }))).data,
});
