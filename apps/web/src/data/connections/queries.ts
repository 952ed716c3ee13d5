import { unwrap } from "@plasma/client/client";
import { queryOptions } from "@tanstack/react-query";

import { api } from "@/data/api";
import { cursorPages, LIMIT_MAX } from "@/data/pages";

import { connectionKeys } from "./keys";

/** All of them: a workspace has at most 50. */
export const connectionsQuery = queryOptions({
  queryKey: connectionKeys.list,
  queryFn: async ({ signal }) => (await unwrap(api.GET("/api/v1/connections", { params: { query: { limit: LIMIT_MAX } }, signal }))).data,
});

export const singleSignOnQuery = queryOptions({
  queryKey: connectionKeys.singleSignOn,
  queryFn: ({ signal }) => unwrap(api.GET("/api/v1/single-sign-on", { signal })),
});

export const connectionAccountsQuery = (id: string) =>
  cursorPages(connectionKeys.accounts(id), (cursor, signal) =>
    unwrap(api.GET("/api/v1/connections/{id}/accounts", { params: { path: { id }, query: { cursor } }, signal })),
  );

/** What all workspaces of the installation claim, for its operators. */
export const claimedDomainsQuery = cursorPages(connectionKeys.domains, (cursor, signal) =>
  unwrap(api.GET("/api/v1/domains", { params: { query: { cursor } }, signal })),
);
