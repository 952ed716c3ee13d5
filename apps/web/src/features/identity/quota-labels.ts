import type { Quota, QuotaResource } from "@plasma/client/types";

import { formatBytes, formatCount } from "@/lib/format";

/** What a plan may limit, in the order in which people read it. */
export const QUOTA_RESOURCES: { value: QuotaResource; label: string; hint: string }[] = [
  { value: "users", label: "Users", hint: "people in the workspace" },
  { value: "api_keys", label: "API keys", hint: "those that are not revoked" },
  { value: "collections", label: "Collections", hint: "of knowledge" },
  { value: "documents", label: "Documents", hint: "in all collections" },
  { value: "storage_bytes", label: "Storage", hint: "documents in all kept versions, and files of batches" },
  { value: "requests_per_minute", label: "Requests a minute", hint: "in each process of the installation" },
];

const BYTES_PER_GB = 1_000_000_000;
/** Where whole numbers end in JavaScript, and with it what the form can say. */
const LIMIT_MAX = Number.MAX_SAFE_INTEGER;

export function quotaLabel(resource: QuotaResource): string {
  return QUOTA_RESOURCES.find((candidate) => candidate.value === resource)?.label ?? resource;
}

export function formatQuota(resource: QuotaResource, amount: number): string {
  return resource === "storage_bytes" ? formatBytes(amount) : formatCount(amount);
}

/** "3 of 5", or "3" where the plan has no limit. Of requests only the limit is known: each process counts for itself. */
export function quotaSentence(quota: Quota): string {
  if (quota.resource === "requests_per_minute") return quota.limit === null ? "the installation's limit" : formatCount(quota.limit);
  const used = formatQuota(quota.resource, quota.used);
  return quota.limit === null ? `${used}, no limit` : `${used} of ${formatQuota(quota.resource, quota.limit)}`;
}

/** A limit as the form shows it: bytes in gigabytes, none as an empty text. */
export function limitText(resource: QuotaResource, limit: number | null): string {
  if (limit === null) return "";
  return resource === "storage_bytes" ? (limit / BYTES_PER_GB).toFixed(9).replace(/\.?0+$/, "") : String(limit);
}

/** What a field of the form means: a limit, none (null), or nothing that can be understood. */
export function parseLimit(resource: QuotaResource, text: string): number | null | "invalid" {
  const trimmed = text.trim();
  if (trimmed === "") return null;
  const pattern = resource === "storage_bytes" ? /^\d{1,7}(?:\.\d{1,9})?$/ : /^\d{1,15}$/;
  if (!pattern.test(trimmed)) return "invalid";
  const amount = resource === "storage_bytes" ? Math.round(Number(trimmed) * BYTES_PER_GB) : Number(trimmed);
  return amount <= LIMIT_MAX ? amount : "invalid";
}
