import { unwrap } from "@plasma/client/client";
import { queryOptions } from "@tanstack/react-query";

import { api } from "@/data/api";

import { linkedAccountKeys } from "./keys";

export const linkedAccountsQuery = queryOptions({
  queryKey: linkedAccountKeys.all,
  queryFn: async ({ signal }) => (await unwrap(api.GET("/api/v1/me/linked-accounts", { signal }))).data,
});
