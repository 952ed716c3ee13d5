import { unwrap } from "@plasma/client/client";
import type { NewModelPull } from "@plasma/client/types";
import { useMutation, useQueryClient } from "@tanstack/react-query";

import { api } from "@/data/api";

import { pullKeys } from "./keys";

function useRefresh() {
  const queryClient = useQueryClient();
  return () => queryClient.invalidateQueries({ queryKey: pullKeys.all });
}

export function useBeginPull() {
  return useMutation({
    mutationFn: (pull: NewModelPull) => unwrap(api.POST("/api/v1/models/pulls", { body: pull })),
    onSuccess: useRefresh(),
  });
}

export function useCancelPull() {
  return useMutation({
    mutationFn: (id: string) => unwrap(api.DELETE("/api/v1/models/pulls/{id}", { params: { path: { id } } })),
    onSuccess: useRefresh(),
  });
}
