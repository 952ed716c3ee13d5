"use client";

import type { Permission } from "@plasma/client/types";
import type { ReactNode } from "react";

import { EmptyState } from "@/ui/query-view";

import { useDenied } from "./session";

/** Every page names what it needs: a menu that hides a link is a courtesy, not a check. */
export function RequirePermission({ permission, children }: { permission: Permission; children: ReactNode }) {
  const denied = useDenied(permission);
  if (denied === null) return children;
  return <EmptyState title="Not open to your role">{denied}</EmptyState>;
}
