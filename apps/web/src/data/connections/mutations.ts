import { unwrap } from "@plasma/client/client";
import type { ConnectionUpdate, NewConnection } from "@plasma/client/types";
import { useMutation, useQueryClient } from "@tanstack/react-query";

import { api } from "@/data/api";

import { connectionKeys } from "./keys";

function useRefresh() {
  const queryClient = useQueryClient();
  return () => queryClient.invalidateQueries({ queryKey: connectionKeys.all });
}

export function useCreateConnection() {
  return useMutation({
    mutationFn: (body: NewConnection) => unwrap(api.POST("/api/v1/connections", { body })),
    onSuccess: useRefresh(),
  });
}

export function useUpdateConnection() {
  return useMutation({
    mutationFn: ({ id, ...body }: ConnectionUpdate & { id: string }) =>
      unwrap(api.PATCH("/api/v1/connections/{id}", { params: { path: { id } }, body })),
    onSuccess: useRefresh(),
  });
}

export function useDeleteConnection() {
  return useMutation({
    mutationFn: (id: string) => unwrap(api.DELETE("/api/v1/connections/{id}", { params: { path: { id } } })),
    onSuccess: useRefresh(),
  });
}

export function useTestConnection() {
  return useMutation({ mutationFn: (id: string) => unwrap(api.POST("/api/v1/connections/{id}/test", { params: { path: { id } } })) });
}

export function usePutSingleSignOn() {
  return useMutation({
    mutationFn: (body: { enforced: boolean; break_glass: string[] }) => unwrap(api.PUT("/api/v1/single-sign-on", { body })),
    onSuccess: useRefresh(),
  });
}

export function useUnlinkPerson() {
  return useMutation({
    mutationFn: ({ id, user }: { id: string; user: string }) =>
      unwrap(api.DELETE("/api/v1/connections/{id}/accounts/{user}", { params: { path: { id, user } } })),
    onSuccess: useRefresh(),
  });
}

export function useAssignDomain() {
  return useMutation({
    mutationFn: ({ domain, tenant }: { domain: string; tenant: string }) =>
      unwrap(api.PUT("/api/v1/domains/{domain}", { params: { path: { domain } }, body: { tenant } })),
    onSuccess: useRefresh(),
  });
}

export function useReleaseDomain() {
  return useMutation({
    mutationFn: (domain: string) => unwrap(api.DELETE("/api/v1/domains/{domain}", { params: { path: { domain } } })),
    onSuccess: useRefresh(),
  });
}
