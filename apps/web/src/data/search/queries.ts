import { unwrap } from "@plasma/client/client";
import type { SearchRequest } from "@plasma/client/types";
import { keepPreviousData, queryOptions } from "@tanstack/react-query";

import { api } from "@/data/api";

import { searchKeys } from "./keys";

export const searchQuery = (request: SearchRequest) =>
  queryOptions({
    queryKey: searchKeys.results(request),
    queryFn: ({ signal }) => unwrap(api.POST("/api/v1/search", { body: request, signal })),
    enabled: (request.query ?? "").trim() !== "",
    placeholderData: keepPreviousData,
    staleTime: 0,
    // The shown time is that of the search the person started, not of a silent repeat.
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
  });
