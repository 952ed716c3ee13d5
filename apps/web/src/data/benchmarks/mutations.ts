import { unwrap } from "@plasma/client/client";
import type { NewBenchmark } from "@plasma/client/types";
import { useMutation, useQueryClient } from "@tanstack/react-query";

import { api } from "@/data/api";

import { benchmarkKeys } from "./keys";

function useRefresh() {
  const queryClient = useQueryClient();
  return () => queryClient.invalidateQueries({ queryKey: benchmarkKeys.all });
}

export function useBeginBenchmark() {
  return useMutation({
    mutationFn: (benchmark: NewBenchmark) => unwrap(api.POST("/api/v1/models/benchmarks", { body: benchmark })),
    onSuccess: useRefresh(),
  });
}

export function useCancelBenchmark() {
  return useMutation({
    mutationFn: (id: string) => unwrap(api.POST("/api/v1/models/benchmarks/{id}/cancel", { params: { path: { id } } })),
    onSuccess: useRefresh(),
  });
}

export function useDeleteBenchmark() {
  return useMutation({
    mutationFn: (id: string) => unwrap(api.DELETE("/api/v1/models/benchmarks/{id}", { params: { path: { id } } })),
    onSuccess: useRefresh(),
  });
}
