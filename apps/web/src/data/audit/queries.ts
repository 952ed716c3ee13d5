import { unwrap } from "@plasma/client/client";
import { queryOptions } from "@tanstack/react-query";

import { api } from "@/data/api";
import { cursorPages, LIMIT_MAX } from "@/data/pages";

import { auditKeys, type AuditFilter, type AuditLogName } from "./keys";

/** How often a log that is watched is asked for what is new. */
const WATCH_MS = 3_000;
/** The state of a sink and of the log changes without an event. */
const STATE_MS = 10_000;

export const auditRecordsQuery = (filter: AuditFilter, watch: boolean) => ({
  ...cursorPages(auditKeys.records(filter), (cursor, signal) =>
    unwrap(api.GET("/api/v1/audit", { params: { query: { ...filter, cursor } }, signal })),
  ),
  refetchInterval: watch ? WATCH_MS : (false as const),
});

export const auditRecordQuery = (id: string, log: AuditLogName | undefined) =>
  queryOptions({
    queryKey: auditKeys.detail(id, log),
    queryFn: ({ signal }) => unwrap(api.GET("/api/v1/audit/records/{id}", { params: { path: { id }, query: { log } }, signal })),
    // Until a checkpoint covers it.
    refetchInterval: (query) => (query.state.data?.proof === null ? WATCH_MS : false),
  });

export const auditStateQuery = (log: AuditLogName | undefined) =>
  queryOptions({
    queryKey: auditKeys.state(log),
    queryFn: ({ signal }) => unwrap(api.GET("/api/v1/audit/log", { params: { query: { log } }, signal })),
    refetchInterval: STATE_MS,
  });

export const auditKeyQuery = (log: AuditLogName | undefined) =>
  queryOptions({
    queryKey: auditKeys.key(log),
    queryFn: ({ signal }) => unwrap(api.GET("/api/v1/audit/key", { params: { query: { log } }, signal })),
    staleTime: Infinity,
  });

export const auditSinksQuery = (log: AuditLogName | undefined) =>
  queryOptions({
    queryKey: auditKeys.sinks(log),
    queryFn: async ({ signal }) => (await unwrap(api.GET("/api/v1/audit/sinks", { params: { query: { log, limit: LIMIT_MAX } }, signal }))).data,
    refetchInterval: STATE_MS,
  });

export type AuditExportFormat = "csv" | "jsonl" | "bundle";

/** Where the browser downloads records; a bundle is the whole log and takes no filter. */
export function auditExportHref(format: AuditExportFormat, filter: AuditFilter): string {
  const query = new URLSearchParams({ format });
  for (const [name, value] of Object.entries(filter)) {
    if (value !== undefined && (format !== "bundle" || name === "log")) query.set(name, String(value));
  }
  return `/api/v1/audit/export?${query}`;
}
