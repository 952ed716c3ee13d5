import type { Permission, RoleDetails } from "@plasma/client/types";

/** The permissions on one kind of thing. */
export interface PermissionGroup {
  kind: string;
  label: string;
  permissions: Permission[];
}

const KINDS: Record<string, string> = {
  collections: "Collections",
  documents: "Who sees documents",
  search: "Search",
  models: "Models",
  content: "Content",
  users: "Users",
  teams: "Teams",
  api_keys: "API keys",
  tenants: "Workspace",
  roles: "Roles",
  policies: "Policies",
  sessions: "Sessions",
  security: "Sign-in",
  applications: "Applications",
  audit: "Audit log",
  encryption: "Encryption",
  compliance: "Compliance",
  events: "Events",
  jobs: "Jobs",
  installation: "Installation",
};

const VERBS: Record<string, string> = {
  read: "see",
  write: "change",
  read_all: "see all",
  query: "search",
  invoke: "call",
  export: "export",
  delete: "delete",
  manage: "manage",
};

/** Where the word of the verb alone would say too little. */
const MEANINGS: Record<string, string> = {
  "documents:write": "say who may see one",
  "documents:read_all": "see every one",
  "models:invoke": "call them: chat, ask, drafts",
  "tenants:export": "take everything out",
  "policies:read": "see them, have decisions explained",
  "encryption:write": "rotate keys",
  "sessions:write": "end those of others",
};

function parts(permission: string): [kind: string, verb: string] {
  const [kind = "", verb = ""] = permission.split(":");
  return [kind, verb];
}

/** What a permission allows, in a few words beside the name of its kind. */
export function meaningOf(permission: Permission): string {
  const [, verb] = parts(permission);
  return MEANINGS[permission] ?? VERBS[verb] ?? verb.replaceAll("_", " ");
}

/** Permissions by their kind, in the order in which the kinds come. */
export function groupPermissions(permissions: readonly Permission[]): PermissionGroup[] {
  const groups = new Map<string, PermissionGroup>();
  for (const permission of permissions) {
    const [kind] = parts(permission);
    const group = groups.get(kind) ?? { kind, label: KINDS[kind] ?? kind.replaceAll("_", " "), permissions: [] };
    if (!group.permissions.includes(permission)) group.permissions.push(permission);
    groups.set(kind, group);
  }
  return [...groups.values()];
}

/** Every permission that some role has: the owner's are all of a workspace. */
export function permissionsOfRoles(roles: readonly RoleDetails[]): Permission[] {
  return [...new Set(roles.flatMap((role) => role.permissions))];
}

/** The chosen ones with one more or one less, in the order of `all`. */
export function toggled(all: readonly Permission[], chosen: readonly Permission[], changed: readonly Permission[], on: boolean): Permission[] {
  return all.filter((permission) => (changed.includes(permission) ? on : chosen.includes(permission)));
}
