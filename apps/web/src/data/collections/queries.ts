import { unwrap } from "@plasma/client/client";
import { asProblem } from "@plasma/client/problem";
import { queryOptions } from "@tanstack/react-query";

import { api } from "@/data/api";
import { cursorPages, LIMIT_MAX } from "@/data/pages";

import { collectionKeys } from "./keys";

export const collectionsQuery = cursorPages(collectionKeys.list, (cursor, signal) =>
  unwrap(api.GET("/api/v1/collections", { params: { query: { cursor } }, signal })),
);

/** All that a select can offer. */
export const collectionChoicesQuery = queryOptions({
  queryKey: collectionKeys.choices,
  queryFn: async ({ signal }) => (await unwrap(api.GET("/api/v1/collections", { params: { query: { limit: LIMIT_MAX } }, signal }))).data,
});

export const collectionQuery = (id: string) =>
  queryOptions({
    queryKey: collectionKeys.detail(id),
    queryFn: ({ signal }) => unwrap(api.GET("/api/v1/collections/{id}", { params: { path: { id } }, signal })),
  });

/** Passages come without an event: while they are embedded anew the page looks again. */
const LOOK_AGAIN_MS = 2_000;

/** The last change of a collection's embedding model; null when it never had one. */
export const reembeddingQuery = (id: string) =>
  queryOptions({
    queryKey: collectionKeys.reembedding(id),
    queryFn: async ({ signal }) => {
      try {
        return await unwrap(api.GET("/api/v1/collections/{id}/reembed", { params: { path: { id } }, signal }));
      } catch (error) {
        if (asProblem(error).reason === "reembedding_not_found") return null;
        throw error;
      }
    },
    refetchInterval: (query) => (query.state.data?.state === "running" ? LOOK_AGAIN_MS : false),
  });

/** Where a collection's vectors are. While it moves, and while a node is away, that changes without an event. */
export const collectionPlacementQuery = (id: string) =>
  queryOptions({
    queryKey: collectionKeys.placement(id),
    queryFn: ({ signal }) => unwrap(api.GET("/api/v1/collections/{id}/placement", { params: { path: { id } }, signal })),
    refetchInterval: (query) => (query.state.data?.moving ? 1_000 : 5_000),
  });

/** The vector index of a collection, as the process that answers has it. */
export const collectionIndexQuery = (id: string) =>
  queryOptions({
    queryKey: collectionKeys.index(id),
    queryFn: ({ signal }) => unwrap(api.GET("/api/v1/collections/{id}/index", { params: { path: { id } }, signal })),
  });
