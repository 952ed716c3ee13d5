import { unwrap } from "@plasma/client/client";
import { asProblem } from "@plasma/client/problem";
import { queryOptions } from "@tanstack/react-query";

import { api } from "@/data/api";

import { captureKeys } from "./keys";

export const captureQuery = queryOptions({
  queryKey: captureKeys.settings,
  queryFn: ({ signal }) => unwrap(api.GET("/api/v1/models/capture", { signal })),
});

/** Null when nothing is kept of the call. Every reading is recorded, so it is read once and never by itself. */
export const payloadQuery = (id: string) =>
  queryOptions({
    queryKey: captureKeys.payload(id),
    queryFn: async ({ signal }) => {
      try {
        return await unwrap(api.GET("/api/v1/models/calls/{id}/payload", { params: { path: { id } }, signal }));
      } catch (error) {
        if (asProblem(error).status === 404) return null;
        throw error;
      }
    },
    staleTime: Infinity,
    refetchOnWindowFocus: false,
  });
