import { unwrap } from "@plasma/client/client";
import { queryOptions } from "@tanstack/react-query";

import { api } from "@/data/api";
import { cursorPages } from "@/data/pages";

import { callKeys, type CallFilter } from "./keys";

export const callsQuery = (filter: CallFilter) =>
  cursorPages(callKeys.list(filter), (cursor, signal) =>
    unwrap(api.GET("/api/v1/models/calls", { params: { query: { ...filter, cursor } }, signal })),
  );

export const callQuery = (id: string) =>
  queryOptions({
    queryKey: callKeys.detail(id),
    queryFn: ({ signal }) => unwrap(api.GET("/api/v1/models/calls/{id}", { params: { path: { id } }, signal })),
  });
