import { unwrap } from "@plasma/client/client";
import type { LimitChange, NewLimit } from "@plasma/client/types";
import { useMutation, useQueryClient } from "@tanstack/react-query";

import { api } from "@/data/api";

import { limitKeys } from "./keys";

function useRefresh() {
  const queryClient = useQueryClient();
  return () => queryClient.invalidateQueries({ queryKey: limitKeys.all });
}

export function useAddLimit() {
  return useMutation({
    mutationFn: (limit: NewLimit) => unwrap(api.POST("/api/v1/models/limits", { body: limit })),
    onSuccess: useRefresh(),
  });
}

export function useChangeLimit() {
  return useMutation({
    mutationFn: ({ id, change }: { id: string; change: LimitChange }) =>
      unwrap(api.PATCH("/api/v1/models/limits/{id}", { params: { path: { id } }, body: change })),
    onSuccess: useRefresh(),
  });
}

export function useDeleteLimit() {
  return useMutation({
    mutationFn: (id: string) => unwrap(api.DELETE("/api/v1/models/limits/{id}", { params: { path: { id } } })),
    onSuccess: useRefresh(),
  });
}
