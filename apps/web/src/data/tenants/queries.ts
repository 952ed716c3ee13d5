import { unwrap } from "@plasma/client/client";
import { queryOptions } from "@tanstack/react-query";

import { api } from "@/data/api";
import { cursorPages } from "@/data/pages";

import { tenantKeys } from "./keys";

export const myTenantsQuery = queryOptions({
  queryKey: tenantKeys.mine,
  queryFn: async ({ signal }) => (await unwrap(api.GET("/api/v1/me/tenants", { signal }))).data,
  staleTime: 60_000,
});

export const brandingQuery = queryOptions({
  queryKey: tenantKeys.branding,
  queryFn: ({ signal }) => unwrap(api.GET("/api/v1/tenants/current/branding", { signal })),
  staleTime: 300_000,
});

export const publicBrandingQuery = queryOptions({
  queryKey: tenantKeys.publicBranding,
  queryFn: ({ signal }) => unwrap(api.GET("/api/v1/branding", { signal })),
  staleTime: 300_000,
});

export const quotasQuery = queryOptions({
  queryKey: tenantKeys.quotas,
  queryFn: ({ signal }) => unwrap(api.GET("/api/v1/tenants/current/quotas", { signal })),
});

const BUSY_MS = 1500;

export const exportsQuery = queryOptions({
  queryKey: tenantKeys.exports,
  queryFn: async ({ signal }) => (await unwrap(api.GET("/api/v1/tenants/current/exports", { params: { query: { limit: 20 } }, signal }))).data,
  // Progress has no event of its own.
  refetchInterval: (query) => (query.state.data?.some((one) => one.state === "queued" || one.state === "running") ? BUSY_MS : false),
});

export const tenantsQuery = cursorPages(tenantKeys.all, (cursor, signal) =>
  unwrap(api.GET("/api/v1/tenants", { params: { query: { cursor } }, signal })),
);

export const tenantQuotasQuery = (id: string) =>
  queryOptions({
    queryKey: [...tenantKeys.one(id), "quotas"] as const,
    queryFn: ({ signal }) => unwrap(api.GET("/api/v1/tenants/{id}/quotas", { params: { path: { id } }, signal })),
    // A form begins with this: it must be what holds now.
    gcTime: 0,
  });

export const tenantBrandingQuery = (id: string) =>
  queryOptions({
    queryKey: [...tenantKeys.one(id), "branding"] as const,
    queryFn: ({ signal }) => unwrap(api.GET("/api/v1/tenants/{id}/branding", { params: { path: { id } }, signal })),
  });
