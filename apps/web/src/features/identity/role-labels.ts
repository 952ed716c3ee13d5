import type { Permission, Role } from "@plasma/client/types";

export const ROLES: { value: Role; label: string; meaning: string }[] = [
  { value: "owner", label: "Owner", meaning: "everything in this workspace" },
  { value: "admin", label: "Administrator", meaning: "also models, users, teams and API keys" },
  { value: "editor", label: "Editor", meaning: "adds knowledge, asks and writes" },
  { value: "viewer", label: "Viewer", meaning: "reads and searches" },
  { value: "service", label: "Service", meaning: "an editor for programs" },
];

export function roleLabel(role: Role): string {
  return ROLES.find((candidate) => candidate.value === role)?.label ?? role;
}

/** What an API key can be narrowed to; the role sets the upper limit. */
export const SCOPES = [
  "collections:read", "collections:write", "documents:write", "documents:read_all", "search:query", "models:read", "models:invoke", "models:write", "content:read", "content:write",
  "users:read", "users:write", "teams:read", "teams:write", "api_keys:read", "api_keys:write", "tenants:read", "tenants:write", "events:read", "jobs:read",
] as const satisfies readonly Permission[];
