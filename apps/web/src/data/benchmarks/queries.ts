import { unwrap } from "@plasma/client/client";
import { queryOptions } from "@tanstack/react-query";

import { api } from "@/data/api";
import { cursorPages } from "@/data/pages";

import { benchmarkKeys } from "./keys";

/** Results come without an event: while something runs the page looks again. */
const LOOK_AGAIN_MS = 2_000;

export const benchmarksQuery = cursorPages(benchmarkKeys.list, (cursor, signal) =>
  unwrap(api.GET("/api/v1/models/benchmarks", { params: { query: { limit: 50, cursor } }, signal })));

export const benchmarkQuery = (id: string) =>
  queryOptions({
    queryKey: benchmarkKeys.detail(id),
    queryFn: ({ signal }) => unwrap(api.GET("/api/v1/models/benchmarks/{id}", { params: { path: { id } }, signal })),
    refetchInterval: (query) => (query.state.data?.ended_at === null ? LOOK_AGAIN_MS : false),
  });

/** `ids` are separated by commas. */
export const comparisonQuery = (ids: string) =>
  queryOptions({
    queryKey: benchmarkKeys.comparison(ids),
    queryFn: ({ signal }) => unwrap(api.GET("/api/v1/models/benchmarks/compare", { params: { query: { ids } }, signal })),
  });

/** What each model of a run answered to one case. */
export const caseResultsQuery = (id: string, name: string) =>
  queryOptions({
    queryKey: benchmarkKeys.case(id, name),
    queryFn: async ({ signal }) => (await unwrap(api.GET("/api/v1/models/benchmarks/{id}/results", { params: { path: { id }, query: { case: name } }, signal }))).data,
  });
