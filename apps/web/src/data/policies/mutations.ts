import { unwrap } from "@plasma/client/client";
import type { AccessPolicyChange, NewAccessPolicy } from "@plasma/client/types";
import { useMutation, useQueryClient } from "@tanstack/react-query";

import { api } from "@/data/api";
import { sessionKeys } from "@/data/session/keys";

import { policyKeys } from "./keys";

/** A policy may bind whoever looks. */
function useRefresh() {
  const queryClient = useQueryClient();
  return async () => {
    await queryClient.invalidateQueries({ queryKey: policyKeys.all });
    await queryClient.invalidateQueries({ queryKey: sessionKeys.me });
  };
}

export function useCreatePolicy() {
  return useMutation({
    mutationFn: (body: NewAccessPolicy) => unwrap(api.POST("/api/v1/policies", { body })),
    onSuccess: useRefresh(),
  });
}

export function useUpdatePolicy() {
  return useMutation({
    mutationFn: ({ id, ...body }: AccessPolicyChange & { id: string }) =>
      unwrap(api.PATCH("/api/v1/policies/{id}", { params: { path: { id } }, body })),
    onSuccess: useRefresh(),
  });
}

export function useDeletePolicy() {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => unwrap(api.DELETE("/api/v1/policies/{id}", { params: { path: { id } } })),
    // The policy itself is not asked for again: it is gone, and its page is about to be.
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: policyKeys.list });
      await queryClient.invalidateQueries({ queryKey: sessionKeys.me });
    },
  });
}
