import { unwrap } from "@plasma/client/client";
import type { AuditSinkChange, NewAuditSink } from "@plasma/client/types";
import { useMutation, useQueryClient } from "@tanstack/react-query";

import { api } from "@/data/api";

import { auditKeys, type AuditLogName } from "./keys";

function useRefresh() {
  const queryClient = useQueryClient();
  return () => queryClient.invalidateQueries({ queryKey: auditKeys.all });
}

/** A sink to make, or with its id what to change of it. */
export type SavedSink = { id: null; body: NewAuditSink } | { id: string; body: AuditSinkChange };

export function useSaveSink(log: AuditLogName | undefined) {
  return useMutation({
    mutationFn: (saved: SavedSink) =>
      saved.id === null
        ? unwrap(api.POST("/api/v1/audit/sinks", { params: { query: { log } }, body: saved.body }))
        : unwrap(api.PATCH("/api/v1/audit/sinks/{id}", { params: { path: { id: saved.id }, query: { log } }, body: saved.body })),
    onSuccess: useRefresh(),
  });
}

export function useDeleteSink(log: AuditLogName | undefined) {
  return useMutation({
    mutationFn: (id: string) => unwrap(api.DELETE("/api/v1/audit/sinks/{id}", { params: { path: { id }, query: { log } } })),
    onSuccess: useRefresh(),
  });
}

export function useTestSink(log: AuditLogName | undefined) {
  return useMutation({
    mutationFn: (id: string) => unwrap(api.POST("/api/v1/audit/sinks/{id}/test", { params: { path: { id }, query: { log } } })),
    onSuccess: useRefresh(),
  });
}

export function useSetRetention(log: AuditLogName | undefined) {
  return useMutation({
    mutationFn: (days: number | null) => unwrap(api.PUT("/api/v1/audit/retention", { params: { query: { log } }, body: { days } })),
    onSuccess: useRefresh(),
  });
}

export function useErasePerson() {
  return useMutation({
    mutationFn: (person: string) => unwrap(api.POST("/api/v1/audit/erasures", { body: { person } })),
    onSuccess: useRefresh(),
  });
}
