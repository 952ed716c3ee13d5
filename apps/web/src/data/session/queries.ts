import { unwrap } from "@plasma/client/client";
import { queryOptions } from "@tanstack/react-query";

import { api } from "@/data/api";

import { sessionKeys } from "./keys";

export const meQuery = queryOptions({
  queryKey: sessionKeys.me,
  queryFn: ({ signal }) => unwrap(api.GET("/api/v1/me", { signal })),
  staleTime: 60_000,
});

/** Who is signed in on a page that needs nobody to be; null: nobody. */
export const visitorQuery = queryOptions({
  queryKey: sessionKeys.visitor,
  // A refusal is the normal case here, and no error.
  queryFn: async ({ signal }) => (await api.GET("/api/v1/me", { signal })).data ?? null,
  staleTime: 0,
  gcTime: 0,
});
