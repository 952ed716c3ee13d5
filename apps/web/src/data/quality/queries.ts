import { unwrap } from "@plasma/client/client";
import { queryOptions } from "@tanstack/react-query";

import { api } from "@/data/api";

import { qualityKeys } from "./keys";

export const qualitySettingsQuery = queryOptions({
  queryKey: qualityKeys.settings,
  queryFn: ({ signal }) => unwrap(api.GET("/api/v1/models/quality", { signal })),
});

/** `groupBy` is what the scores are summed up by, separated by commas. */
export const qualityScoresQuery = (groupBy: string, days: number) =>
  queryOptions({
    queryKey: qualityKeys.scores(groupBy, days),
    queryFn: async ({ signal }) => (await unwrap(api.GET("/api/v1/models/quality/scores", { params: { query: { group_by: groupBy, days } }, signal }))).data,
  });
