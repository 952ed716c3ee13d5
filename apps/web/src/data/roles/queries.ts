import { unwrap } from "@plasma/client/client";
import { queryOptions } from "@tanstack/react-query";

import { api } from "@/data/api";

import { roleKeys } from "./keys";

/** The built-in roles, then the workspace's own. All are on one page. */
export const rolesQuery = queryOptions({
  queryKey: roleKeys.all,
  queryFn: async ({ signal }) => (await unwrap(api.GET("/api/v1/roles", { signal }))).data,
});
