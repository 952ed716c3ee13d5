import { unwrap } from "@plasma/client/client";
import type { Role } from "@plasma/client/types";
import { useMutation, useQueryClient } from "@tanstack/react-query";

import { api } from "@/data/api";
import { sessionKeys } from "@/data/session/keys";

import { userKeys } from "./keys";

function useRefresh() {
  const queryClient = useQueryClient();
  return async () => {
    await queryClient.invalidateQueries({ queryKey: userKeys.all });
    await queryClient.invalidateQueries({ queryKey: sessionKeys.me });
  };
}

export function useCreateUser() {
  return useMutation({
    mutationFn: (body: { email: string; name: string; role: Role; password: string }) => unwrap(api.POST("/api/v1/users", { body })),
    onSuccess: useRefresh(),
  });
}

export function useUpdateUser() {
  return useMutation({
    mutationFn: ({ id, ...body }: { id: string; name?: string; role?: Role; disabled?: boolean }) =>
      unwrap(api.PATCH("/api/v1/users/{id}", { params: { path: { id } }, body })),
    onSuccess: useRefresh(),
  });
}

export function useDeleteUser() {
  return useMutation({
    mutationFn: (id: string) => unwrap(api.DELETE("/api/v1/users/{id}", { params: { path: { id } } })),
    onSuccess: useRefresh(),
  });
}
