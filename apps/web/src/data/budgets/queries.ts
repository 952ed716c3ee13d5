import { unwrap } from "@plasma/client/client";
import { queryOptions } from "@tanstack/react-query";

import { api } from "@/data/api";
import { LIMIT_MAX } from "@/data/pages";

import { budgetKeys } from "./keys";

export const budgetsQuery = queryOptions({
  queryKey: budgetKeys.all,
  queryFn: async ({ signal }) => (await unwrap(api.GET("/api/v1/models/budgets", { params: { query: { limit: LIMIT_MAX } }, signal }))).data,
});
