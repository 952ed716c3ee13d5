import { unwrap } from "@plasma/client/client";
import { keepPreviousData, queryOptions } from "@tanstack/react-query";

import { api } from "@/data/api";
import { cursorPages } from "@/data/pages";

import { contentKeys } from "./keys";

export const contentListQuery = cursorPages(contentKeys.list, (cursor, signal) =>
  unwrap(api.GET("/api/v1/content/documents", { params: { query: { cursor } }, signal })),
);

export const contentQuery = (id: string) =>
  queryOptions({
    queryKey: contentKeys.detail(id),
    queryFn: ({ signal }) => unwrap(api.GET("/api/v1/content/documents/{id}", { params: { path: { id } }, signal })),
  });

export const revisionsQuery = (id: string) =>
  cursorPages(contentKeys.revisions(id), (cursor, signal) =>
    unwrap(api.GET("/api/v1/content/documents/{id}/revisions", { params: { path: { id }, query: { cursor } }, signal })),
  );

export const diffQuery = (id: string, from: number, to: number) =>
  queryOptions({
    queryKey: contentKeys.diff(id, from, to),
    queryFn: ({ signal }) => unwrap(api.GET("/api/v1/content/documents/{id}/diff", { params: { path: { id }, query: { from, to } }, signal })),
    // Revisions never change.
    staleTime: Infinity,
    placeholderData: keepPreviousData,
  });
