import { unwrap } from "@plasma/client/client";
import { useMutation, useQueryClient } from "@tanstack/react-query";

import { api } from "@/data/api";
import { modelKeys } from "@/data/models/keys";

import { providerKeys } from "./keys";

function useRefresh() {
  const queryClient = useQueryClient();
  return async () => {
    await queryClient.invalidateQueries({ queryKey: providerKeys.all });
    await queryClient.invalidateQueries({ queryKey: modelKeys.all });
  };
}

export function useSaveProvider() {
  return useMutation({
    mutationFn: ({ id, name, base_url, api_key }: { id: string | null; name: string; base_url: string; api_key?: string }) =>
      id === null
        ? unwrap(api.POST("/api/v1/providers", { body: { name, kind: "openai", base_url, api_key } }))
        : unwrap(api.PATCH("/api/v1/providers/{id}", { params: { path: { id } }, body: { base_url, api_key } })),
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
