import { unwrap } from "@plasma/client/client";
import { queryOptions } from "@tanstack/react-query";

import { api } from "@/data/api";

import { routeKeys } from "./keys";

export const routesQuery = queryOptions({
  queryKey: routeKeys.all,
  queryFn: async ({ signal }) => (await unwrap(api.GET("/api/v1/routes", { signal }))).data,
});
