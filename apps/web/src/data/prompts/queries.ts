import { unwrap } from "@plasma/client/client";
import { queryOptions } from "@tanstack/react-query";

import { api } from "@/data/api";
import { cursorPages } from "@/data/pages";

import { promptKeys } from "./keys";

export const promptsQuery = cursorPages(promptKeys.list, (cursor, signal) =>
  unwrap(api.GET("/api/v1/prompts", { params: { query: { cursor } }, signal })),
);

export const promptQuery = (name: string) =>
  queryOptions({
    queryKey: promptKeys.detail(name),
    queryFn: ({ signal }) => unwrap(api.GET("/api/v1/prompts/{name}", { params: { path: { name } }, signal })),
  });

export const promptVersionsQuery = (name: string) =>
  cursorPages(promptKeys.versions(name), (cursor, signal) =>
    unwrap(api.GET("/api/v1/prompts/{name}/versions", { params: { path: { name }, query: { cursor } }, signal })),
  );

export const promptVersionQuery = (name: string, version: number) =>
  queryOptions({
    queryKey: promptKeys.version(name, version),
    queryFn: ({ signal }) => unwrap(api.GET("/api/v1/prompts/{name}/versions/{version}", { params: { path: { name, version } }, signal })),
  });

export const promptDiffQuery = (name: string, from: number, to: number) =>
  queryOptions({
    queryKey: promptKeys.diff(name, from, to),
    queryFn: ({ signal }) => unwrap(api.GET("/api/v1/prompts/{name}/diff", { params: { path: { name }, query: { from, to } }, signal })),
  });
