/** Which log: the workspace's own where it is absent. */
export type AuditLogName = "installation";

/** What records must have; times in microseconds since 1970 UTC. */
export interface AuditFilter {
  actor?: string;
  action?: string;
  subject?: string;
  address?: string;
  text?: string;
  from?: number;
  to?: number;
  log?: AuditLogName;
}

export const auditKeys = {
  all: ["audit"] as const,
  records: (filter: AuditFilter) => ["audit", "records", filter] as const,
  detail: (id: string, log: AuditLogName | undefined) => ["audit", "detail", id, log ?? null] as const,
  state: (log: AuditLogName | undefined) => ["audit", "state", log ?? null] as const,
  key: (log: AuditLogName | undefined) => ["audit", "key", log ?? null] as const,
  sinks: (log: AuditLogName | undefined) => ["audit", "sinks", log ?? null] as const,
};
