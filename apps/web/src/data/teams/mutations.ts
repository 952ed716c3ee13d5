import { unwrap } from "@plasma/client/client";
import { useMutation, useQueryClient } from "@tanstack/react-query";

import { api } from "@/data/api";
import { apiKeyKeys } from "@/data/api-keys/keys";

import { teamKeys } from "./keys";

function useRefresh() {
  const queryClient = useQueryClient();
  return () => queryClient.invalidateQueries({ queryKey: teamKeys.all });
}

export function useCreateTeam() {
  return useMutation({
    mutationFn: (body: { name: string; description: string }) => unwrap(api.POST("/api/v1/teams", { body })),
    onSuccess: useRefresh(),
  });
}

export function useUpdateTeam() {
  return useMutation({
    mutationFn: ({ id, ...body }: { id: string; name: string; description: string }) =>
      unwrap(api.PATCH("/api/v1/teams/{id}", { params: { path: { id } }, body })),
    onSuccess: useRefresh(),
  });
}

export function useDeleteTeam() {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => unwrap(api.DELETE("/api/v1/teams/{id}", { params: { path: { id } } })),
    // Its API keys name it no longer.
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: teamKeys.all });
      await queryClient.invalidateQueries({ queryKey: apiKeyKeys.all });
    },
  });
}

/** Puts a person into a team, or makes it their default. */
export function usePutTeamMember() {
  return useMutation({
    mutationFn: ({ id, user, ...body }: { id: string; user: string; is_default?: boolean }) =>
      unwrap(api.PUT("/api/v1/teams/{id}/members/{user}", { params: { path: { id, user } }, body })),
    onSuccess: useRefresh(),
  });
}

export function useRemoveTeamMember() {
  return useMutation({
    mutationFn: ({ id, user }: { id: string; user: string }) =>
      unwrap(api.DELETE("/api/v1/teams/{id}/members/{user}", { params: { path: { id, user } } })),
    onSuccess: useRefresh(),
  });
}
