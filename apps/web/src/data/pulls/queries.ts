import { unwrap } from "@plasma/client/client";
import { queryOptions } from "@tanstack/react-query";

import { api } from "@/data/api";

import { pullKeys } from "./keys";

/** Bytes come without an event: while something is fetched the page looks again. */
const LOOK_AGAIN_MS = 2_000;
/** Enough to find all that is under way. */
const SHOWN = 30;

/** What is being fetched and what was lately, newest first. */
export const pullsQuery = queryOptions({
  queryKey: pullKeys.all,
  queryFn: async ({ signal }) => (await unwrap(api.GET("/api/v1/models/pulls", { params: { query: { limit: SHOWN } }, signal }))).data,
  refetchInterval: (query) => (query.state.data?.some((pull) => pull.ended_at === null) ? LOOK_AGAIN_MS : false),
});
