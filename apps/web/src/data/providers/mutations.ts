import { unwrap } from "@plasma/client/client";
import type { Provider } from "@plasma/client/types";
import { useMutation, useQueryClient } from "@tanstack/react-query";

import { api } from "@/data/api";
import { modelKeys } from "@/data/models/keys";

import { providerKeys } from "./keys";

/** A provider to add, or with its id what to change of it. */
export interface SavedProvider {
  id: string | null;
  name: string;
  kind: Provider["kind"];
  base_url: string;
  options: Provider["options"];
  api_key?: string;
}

function useRefresh() {
  const queryClient = useQueryClient();
  return async () => {
    await queryClient.invalidateQueries({ queryKey: providerKeys.all });
    await queryClient.invalidateQueries({ queryKey: modelKeys.all });
  };
}

export function useSaveProvider() {
  return useMutation({
    mutationFn: ({ id, name, kind, ...change }: SavedProvider) =>
      id === null
        ? unwrap(api.POST("/api/v1/providers", { body: { name, kind, ...change } }))
        : unwrap(api.PATCH("/api/v1/providers/{id}", { params: { path: { id } }, body: change })),
    onSuccess: useRefresh(),
  });
}

export function useDeleteProvider() {
  return useMutation({
    mutationFn: (id: string) => unwrap(api.DELETE("/api/v1/providers/{id}", { params: { path: { id } } })),
    onSuccess: useRefresh(),
  });
}

export function useTestProvider() {
  return useMutation({
    mutationFn: (id: string) => unwrap(api.POST("/api/v1/providers/{id}/test", { params: { path: { id } } })),
  });
}
