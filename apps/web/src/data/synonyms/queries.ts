import { unwrap } from "@plasma/client/client";
import { queryOptions } from "@tanstack/react-query";

import { api } from "@/data/api";

import { synonymKeys } from "./keys";

export const synonymsQuery = (collection: string) =>
  queryOptions({
    queryKey: synonymKeys.detail(collection),
    queryFn: ({ signal }) => unwrap(api.GET("/api/v1/collections/{id}/synonyms", { params: { path: { id: collection } }, signal })),
  });
