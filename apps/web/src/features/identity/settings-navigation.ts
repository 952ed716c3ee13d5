import type { Permission } from "@plasma/client/types";

export interface SettingsItem {
  href: string;
  label: string;
  /** What it takes to see the page; null: everybody may. */
  permission: Permission | null;
}

export interface SettingsGroup {
  label: string;
  items: SettingsItem[];
}

/** Every page of the settings, by what it is about. */
export const SETTINGS: SettingsGroup[] = [
  {
    label: "You",
    items: [
      { href: "/settings/", label: "Profile", permission: null },
      { href: "/settings/security/", label: "Security", permission: null },
    ],
  },
  {
    label: "People",
    items: [
      { href: "/settings/users/", label: "Users and invitations", permission: "users:read" },
      { href: "/settings/teams/", label: "Teams", permission: "teams:read" },
      { href: "/settings/roles/", label: "Roles", permission: "roles:read" },
    ],
  },
  {
    label: "Access",
    items: [
      { href: "/settings/api-keys/", label: "API keys", permission: "api_keys:read" },
      { href: "/settings/applications/", label: "Applications", permission: "applications:read" },
      { href: "/settings/policies/", label: "Access policies", permission: "policies:read" },
    ],
  },
  {
    label: "Security",
    items: [
      { href: "/settings/sign-in/", label: "Sign-in", permission: "security:read" },
      { href: "/settings/sessions/", label: "Sessions", permission: "sessions:read" },
      { href: "/settings/audit/", label: "Audit log", permission: "audit:read" },
      { href: "/settings/encryption/", label: "Encryption", permission: "encryption:write" },
      { href: "/settings/compliance/", label: "Compliance", permission: "compliance:read" },
    ],
  },
  { label: "Workspace", items: [{ href: "/settings/workspace/", label: "Workspace", permission: null }] },
  {
    label: "Installation",
    items: [
      { href: "/settings/tenants/", label: "Workspaces", permission: "installation:manage" },
      { href: "/settings/search-nodes/", label: "Search nodes", permission: "installation:read" },
    ],
  },
];

/** The pages that somebody with these permissions may see; groups without any are left out. */
export function visibleSettings(permissions: readonly Permission[]): SettingsGroup[] {
  return SETTINGS.map((group) => ({
    ...group,
    items: group.items.filter((item) => item.permission === null || permissions.includes(item.permission)),
  })).filter((group) => group.items.length > 0);
}

/** The page that an address belongs to: the longest one that it begins with. */
export function currentSetting(pathname: string): SettingsItem | null {
  const path = pathname.endsWith("/") ? pathname : `${pathname}/`;
  const found = SETTINGS.flatMap((group) => group.items).filter((item) => path.startsWith(item.href));
  return found.sort((one, other) => other.href.length - one.href.length)[0] ?? null;
}
