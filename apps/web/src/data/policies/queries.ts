import { unwrap } from "@plasma/client/client";
import { keepPreviousData, queryOptions } from "@tanstack/react-query";

import { api } from "@/data/api";
import { cursorPages } from "@/data/pages";

import { policyKeys } from "./keys";

export const policiesQuery = cursorPages(policyKeys.list, (cursor, signal) =>
  unwrap(api.GET("/api/v1/policies", { params: { query: { cursor } }, signal })),
);

export const policyQuery = (id: string) =>
  queryOptions({
    queryKey: policyKeys.detail(id),
    queryFn: ({ signal }) => unwrap(api.GET("/api/v1/policies/{id}", { params: { path: { id } }, signal })),
  });

export const policyVersionsQuery = (id: string) =>
  cursorPages(policyKeys.versions(id), (cursor, signal) =>
    unwrap(api.GET("/api/v1/policies/{id}/versions", { params: { path: { id }, query: { cursor } }, signal })),
  );

export const policySchemaQuery = queryOptions({
  queryKey: policyKeys.schema,
  queryFn: ({ signal }) => unwrap(api.GET("/api/v1/policies/schema", { signal })),
  staleTime: Infinity,
});

/** What a text would change. The server only looks; the same text is not asked about twice in half a minute. */
export const policyTestQuery = (id: string | null, text: string, enabled: boolean) =>
  queryOptions({
    queryKey: policyKeys.test(id, text, enabled),
    queryFn: ({ signal }) => unwrap(api.POST("/api/v1/policies/test", { body: { text, enabled, ...(id !== null && { id }) }, signal })),
    placeholderData: keepPreviousData,
    staleTime: 30_000,
  });
