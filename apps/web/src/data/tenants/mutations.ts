import { unwrap } from "@plasma/client/client";
import type { NewBranding, NewQuotas } from "@plasma/client/types";
import { useMutation, useQueryClient, type QueryKey } from "@tanstack/react-query";

import { api } from "@/data/api";
import { sessionKeys } from "@/data/session/keys";

import { tenantKeys } from "./keys";

function useRefresh(...keys: QueryKey[]) {
  const queryClient = useQueryClient();
  return async () => {
    for (const queryKey of keys) await queryClient.invalidateQueries({ queryKey });
  };
}

const onPath = (id: string) => ({ params: { path: { id } } });

export function useRenameTenant() {
  return useMutation({
    mutationFn: ({ id, name }: { id: string; name: string }) => unwrap(api.PATCH("/api/v1/tenants/{id}", { ...onPath(id), body: { name } })),
    onSuccess: useRefresh(sessionKeys.me, tenantKeys.branding, tenantKeys.mine, tenantKeys.all),
  });
}

export function useCreateTenant() {
  return useMutation({
    mutationFn: (body: { name: string; owner: { email: string; name: string; password: string } }) => unwrap(api.POST("/api/v1/tenants", { body })),
    onSuccess: useRefresh(tenantKeys.all),
  });
}

export function useSuspendTenant() {
  return useMutation({
    mutationFn: ({ id, reason }: { id: string; reason: string }) =>
      unwrap(api.POST("/api/v1/tenants/{id}/suspend", { ...onPath(id), body: reason === "" ? {} : { reason } })),
    onSuccess: useRefresh(tenantKeys.all),
  });
}

export function useResumeTenant() {
  return useMutation({
    mutationFn: (id: string) => unwrap(api.POST("/api/v1/tenants/{id}/resume", onPath(id))),
    onSuccess: useRefresh(tenantKeys.all),
  });
}

export function useRequestDeletion() {
  return useMutation({
    mutationFn: ({ id, name }: { id: string; name: string }) => unwrap(api.POST("/api/v1/tenants/{id}/deletion", { ...onPath(id), body: { name } })),
    onSuccess: useRefresh(sessionKeys.me, tenantKeys.all, tenantKeys.mine),
  });
}

export function useCancelDeletion() {
  return useMutation({
    mutationFn: (id: string) => unwrap(api.DELETE("/api/v1/tenants/{id}/deletion", onPath(id))),
    onSuccess: useRefresh(sessionKeys.me, tenantKeys.all, tenantKeys.mine),
  });
}

export function usePutQuotas() {
  return useMutation({
    mutationFn: ({ id, ...body }: { id: string } & NewQuotas) => unwrap(api.PUT("/api/v1/tenants/{id}/quotas", { ...onPath(id), body })),
    onSuccess: useRefresh(tenantKeys.all, tenantKeys.quotas),
  });
}

export function usePutBranding() {
  return useMutation({
    mutationFn: (body: NewBranding) => unwrap(api.PUT("/api/v1/tenants/current/branding", { body })),
    onSuccess: useRefresh(tenantKeys.branding),
  });
}

export function usePutLogo() {
  return useMutation({
    mutationFn: (file: File) =>
      unwrap(
        api.PUT("/api/v1/tenants/current/logo", {
          // The specification knows bytes as text; the file itself is what goes out.
          body: file as unknown as string,
          bodySerializer: (body) => body,
          headers: { "content-type": "application/octet-stream" },
        }),
      ),
    onSuccess: useRefresh(tenantKeys.branding),
  });
}

export function useDeleteLogo() {
  return useMutation({
    mutationFn: () => unwrap(api.DELETE("/api/v1/tenants/current/logo")),
    onSuccess: useRefresh(tenantKeys.branding),
  });
}

export function usePutDomain() {
  return useMutation({
    mutationFn: (domain: string) => unwrap(api.PUT("/api/v1/tenants/current/domain", { body: { domain } })),
    onSuccess: useRefresh(tenantKeys.branding),
  });
}

export function useDeleteDomain() {
  return useMutation({
    mutationFn: () => unwrap(api.DELETE("/api/v1/tenants/current/domain")),
    onSuccess: useRefresh(tenantKeys.branding),
  });
}

export function useConfirmDomain() {
  return useMutation({
    mutationFn: ({ id, domain }: { id: string; domain: string }) => unwrap(api.PUT("/api/v1/tenants/{id}/domain", { ...onPath(id), body: { domain } })),
    onSuccess: useRefresh(tenantKeys.all),
  });
}

export function useRequestExport() {
  return useMutation({
    mutationFn: () => unwrap(api.POST("/api/v1/tenants/current/exports")),
    onSuccess: useRefresh(tenantKeys.exports),
  });
}

export function useDeleteExport() {
  return useMutation({
    mutationFn: (id: string) => unwrap(api.DELETE("/api/v1/tenants/current/exports/{id}", onPath(id))),
    onSuccess: useRefresh(tenantKeys.exports),
  });
}

/** A new session in another workspace, or what else that one asks for. */
export function useEnterTenant() {
  return useMutation({
    mutationFn: (tenant: string) => unwrap(api.POST("/api/v1/me/tenant", { body: { tenant } })),
  });
}
