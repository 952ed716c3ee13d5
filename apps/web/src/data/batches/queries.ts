import { unwrap } from "@plasma/client/client";
import { infiniteQueryOptions } from "@tanstack/react-query";

import { api } from "@/data/api";

import { batchKeys } from "./keys";

/** Newest first. OpenAI's lists go on after the last id. */
export const batchesQuery = infiniteQueryOptions({
  queryKey: batchKeys.all,
  initialPageParam: undefined as string | undefined,
  queryFn: ({ pageParam, signal }) => unwrap(api.GET("/v1/batches", { params: { query: { after: pageParam } }, signal })),
  getNextPageParam: (page) => (page.has_more ? (page.last_id ?? undefined) : undefined),
  select: (data) => data.pages.flatMap((page) => page.data),
});

/** The address of a file's bytes; the browser downloads them. */
export function batchFileUrl(file: string): string {
  return `/v1/files/${encodeURIComponent(file)}/content`;
}
