import { unwrap } from "@plasma/client/client";
import { queryOptions } from "@tanstack/react-query";

import { api } from "@/data/api";
import { cursorPages, LIMIT_MAX } from "@/data/pages";

import { teamKeys } from "./keys";

export const teamsQuery = cursorPages(teamKeys.list, (cursor, signal) =>
  unwrap(api.GET("/api/v1/teams", { params: { query: { cursor } }, signal })),
);

/** What a choice of a team shows. */
export const teamChoicesQuery = queryOptions({
  queryKey: teamKeys.choices,
  queryFn: async ({ signal }) => (await unwrap(api.GET("/api/v1/teams", { params: { query: { limit: LIMIT_MAX } }, signal }))).data,
});

export const teamMembersQuery = (id: string) =>
  cursorPages(teamKeys.members(id), (cursor, signal) =>
    unwrap(api.GET("/api/v1/teams/{id}/members", { params: { path: { id }, query: { cursor } }, signal })),
  );
