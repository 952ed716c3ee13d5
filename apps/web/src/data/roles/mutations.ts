import { unwrap } from "@plasma/client/client";
import type { Permission } from "@plasma/client/types";
import { useMutation, useQueryClient } from "@tanstack/react-query";

import { api } from "@/data/api";
import { apiKeyKeys } from "@/data/api-keys/keys";
import { sessionKeys } from "@/data/session/keys";
import { userKeys } from "@/data/users/keys";

import { roleKeys } from "./keys";

/** A role shows in people and keys, and may be the one of whoever looks. */
function useRefresh() {
  const queryClient = useQueryClient();
  return async () => {
    for (const queryKey of [roleKeys.all, userKeys.all, apiKeyKeys.all, sessionKeys.me]) await queryClient.invalidateQueries({ queryKey });
  };
}

/** Makes a role, or changes the one with this id. */
export function useSaveRole() {
  return useMutation({
    mutationFn: ({ id, ...body }: { id: string | null; name: string; description: string; permissions: Permission[] }) =>
      id === null ? unwrap(api.POST("/api/v1/roles", { body })) : unwrap(api.PATCH("/api/v1/roles/{id}", { params: { path: { id } }, body })),
    onSuccess: useRefresh(),
  });
}

/** Whoever has the role gets `replacement`. */
export function useDeleteRole() {
  return useMutation({
    mutationFn: ({ id, replacement }: { id: string; replacement: string | null }) =>
      unwrap(api.DELETE("/api/v1/roles/{id}", { params: { path: { id }, query: replacement === null ? {} : { replacement } } })),
    onSuccess: useRefresh(),
  });
}

/** Gives a person a role, a built-in one or one of the workspace's own. */
export function useAssignRole() {
  return useMutation({
    mutationFn: ({ user, role }: { user: string; role: string }) =>
      unwrap(api.PUT("/api/v1/users/{id}/role", { params: { path: { id: user } }, body: { role } })),
    onSuccess: useRefresh(),
  });
}
