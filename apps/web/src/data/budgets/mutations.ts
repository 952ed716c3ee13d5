import { unwrap } from "@plasma/client/client";
import type { NewBudget } from "@plasma/client/types";
import { useMutation, useQueryClient } from "@tanstack/react-query";

import { api } from "@/data/api";

import { budgetKeys } from "./keys";

function useRefresh() {
  const queryClient = useQueryClient();
  return () => queryClient.invalidateQueries({ queryKey: budgetKeys.all });
}

export function useAddBudget() {
  return useMutation({
    mutationFn: (budget: NewBudget) => unwrap(api.POST("/api/v1/models/budgets", { body: budget })),
    onSuccess: useRefresh(),
  });
}

export function useChangeBudget() {
  return useMutation({
    mutationFn: ({ id, limit_micros }: { id: string; limit_micros: number }) =>
      unwrap(api.PATCH("/api/v1/models/budgets/{id}", { params: { path: { id } }, body: { limit_micros } })),
    onSuccess: useRefresh(),
  });
}

export function useDeleteBudget() {
  return useMutation({
    mutationFn: (id: string) => unwrap(api.DELETE("/api/v1/models/budgets/{id}", { params: { path: { id } } })),
    onSuccess: useRefresh(),
  });
}
