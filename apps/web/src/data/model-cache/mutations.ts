import { unwrap } from "@plasma/client/client";
import type { ModelCacheSettings } from "@plasma/client/types";
import { useMutation, useQueryClient } from "@tanstack/react-query";

import { api } from "@/data/api";

import { modelCacheKeys } from "./keys";

function useRefresh() {
  const queryClient = useQueryClient();
  return () => queryClient.invalidateQueries({ queryKey: modelCacheKeys.all });
}

export function useSaveModelCache() {
  return useMutation({
    mutationFn: (settings: ModelCacheSettings) => unwrap(api.PUT("/api/v1/models/cache", { body: settings })),
    onSuccess: useRefresh(),
  });
}

export function usePurgeModelCache() {
  return useMutation({
    mutationFn: () => unwrap(api.DELETE("/api/v1/models/cache")),
    onSuccess: useRefresh(),
  });
}
