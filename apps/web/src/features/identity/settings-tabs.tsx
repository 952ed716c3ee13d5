"use client";

import type { Permission } from "@plasma/client/types";

import { LinkTabs } from "@/ui/tabs";

import { useMe } from "./session";

const ITEMS: { href: string; label: string; permission: Permission | null }[] = [
  { href: "/settings/", label: "Profile", permission: null },
  { href: "/settings/users/", label: "Users", permission: "users:read" },
  { href: "/settings/teams/", label: "Teams", permission: "teams:read" },
  { href: "/settings/api-keys/", label: "API keys", permission: "api_keys:read" },
  { href: "/settings/audit/", label: "Audit", permission: "audit:read" },
  { href: "/settings/search-nodes/", label: "Search nodes", permission: "installation:read" },
  { href: "/settings/workspace/", label: "Workspace", permission: null },
];

export function SettingsTabs({ current }: { current: string }) {
  const { permissions } = useMe();
  return <LinkTabs label="Settings" current={current} items={ITEMS.filter((item) => item.permission === null || permissions.includes(item.permission))} />;
}
