"use client";

import type { Me, Permission } from "@plasma/client/types";
import { createContext, use, type ReactNode } from "react";

const SessionContext = createContext<Me | null>(null);

export function SessionProvider({ me, children }: { me: Me; children: ReactNode }) {
  return <SessionContext value={me}>{children}</SessionContext>;
}

/** Who is signed in. Only for components below the workspace layout, which waits for the answer. */
export function useMe(): Me {
  const me = use(SessionContext);
  if (!me) throw new Error("useMe is used outside of the workspace layout");
  return me;
}

export function useCan(permission: Permission): boolean {
  return useMe().permissions.includes(permission);
}

/** Null when the action is allowed, otherwise the reason that a person can do something about. */
export function useDenied(permission: Permission): string | null {
  const me = useMe();
  if (me.permissions.includes(permission)) return null;
  return `Your role (${me.custom_role?.name ?? me.role}) does not include ${permission}. An owner or administrator can change it.`;
}
