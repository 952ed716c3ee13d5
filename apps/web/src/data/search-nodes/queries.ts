import { unwrap } from "@plasma/client/client";
import { queryOptions } from "@tanstack/react-query";

import { api } from "@/data/api";

import { searchNodeKeys } from "./keys";

/** The state of a database changes without an event. */
export const searchNodesQuery = queryOptions({
  queryKey: searchNodeKeys.all,
  queryFn: async ({ signal }) => (await unwrap(api.GET("/api/v1/search/nodes", { signal }))).nodes,
  refetchInterval: 5_000,
});
