import { unwrap } from "@plasma/client/client";
import { queryOptions } from "@tanstack/react-query";

import { api } from "@/data/api";

import { aliasKeys } from "./keys";

export const aliasesQuery = queryOptions({
  queryKey: aliasKeys.all,
  queryFn: async ({ signal }) => (await unwrap(api.GET("/api/v1/models/aliases", { signal }))).data,
});
