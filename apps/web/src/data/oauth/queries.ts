import { unwrap } from "@plasma/client/client";
import type { AuthorizationParameters } from "@plasma/client/types";
import { queryOptions } from "@tanstack/react-query";

import { api } from "@/data/api";

import { oauthKeys } from "./keys";

/** What the page of an authorization request does next. Asked anew each time: somebody may have signed in since. */
export const authorizationRequestQuery = (parameters: AuthorizationParameters) =>
  queryOptions({
    queryKey: oauthKeys.request(parameters),
    queryFn: ({ signal }) => unwrap(api.GET("/api/v1/oauth/authorization-requests", { params: { query: parameters }, signal })),
    staleTime: Infinity,
    gcTime: 0,
  });
