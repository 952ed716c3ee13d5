import { unwrap } from "@plasma/client/client";
import type { UsageTable } from "@plasma/client/types";
import { queryOptions } from "@tanstack/react-query";

import { api } from "@/data/api";

import { usageKeys, type UsageFilter } from "./keys";

function parameters({ groupBy, ...filter }: UsageFilter) {
  return { ...filter, group_by: groupBy.join(",") };
}

export const usageTableQuery = (filter: UsageFilter) =>
  queryOptions<UsageTable, Error, UsageTable, ReturnType<typeof usageKeys.table>>({
    queryKey: usageKeys.table(filter),
    // The same address answers with CSV where that is asked for.
    queryFn: async ({ signal }) => (await unwrap(api.GET("/api/v1/usage", { params: { query: { ...parameters(filter), format: "json" } }, signal }))) as UsageTable,
    // A change of the range keeps the page in place until the new figures are there; other groups are other lines.
    placeholderData: (previous) => (previous?.group_by.join() === filter.groupBy.join() ? previous : undefined),
  });

/** Where the browser downloads the same as CSV. */
export function usageCsvHref(filter: UsageFilter): string {
  const query = new URLSearchParams({ format: "csv" });
  for (const [name, value] of Object.entries(parameters(filter))) query.set(name, String(value));
  return `/api/v1/usage?${query}`;
}
