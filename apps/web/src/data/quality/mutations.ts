import { unwrap } from "@plasma/client/client";
import type { NewCallFeedback, NewQualitySettings } from "@plasma/client/types";
import { useMutation, useQueryClient } from "@tanstack/react-query";

import { api } from "@/data/api";
import { budgetKeys } from "@/data/budgets/keys";
import { callKeys } from "@/data/calls/keys";

import { qualityKeys } from "./keys";

export function useGiveFeedback(id: string) {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: (feedback: NewCallFeedback) =>
      unwrap(api.POST("/api/v1/models/calls/{id}/feedback", { params: { path: { id } }, body: feedback })),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: callKeys.detail(id) }),
  });
}

export function useSaveQualitySettings() {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: (settings: NewQualitySettings) => unwrap(api.PUT("/api/v1/models/quality", { body: settings })),
    onSuccess: (settings) => {
      queryClient.setQueryData(qualityKeys.settings, settings);
      // The judge's limit is a budget.
      return queryClient.invalidateQueries({ queryKey: budgetKeys.all });
    },
  });
}
