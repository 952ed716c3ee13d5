import type { Page } from "@plasma/client/types";
import { infiniteQueryOptions, type QueryKey } from "@tanstack/react-query";

/** The most that one request may return; used where a choice needs the whole list. */
export const LIMIT_MAX = 200;

/** A list that grows by cursor; `data` is the flat list of what was loaded so far. */
export function cursorPages<T>(queryKey: QueryKey, load: (cursor: string | undefined, signal: AbortSignal) => Promise<Page<T>>) {
  return infiniteQueryOptions({
    queryKey,
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) => load(pageParam, signal),
    getNextPageParam: (page) => (page.has_more ? (page.next_cursor ?? undefined) : undefined),
    select: (data) => data.pages.flatMap((page) => page.data),
  });
}
