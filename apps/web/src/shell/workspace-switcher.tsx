"use client";

import { useQuery } from "@tanstack/react-query";
import { Check, ChevronsUpDown } from "lucide-react";
import Link from "next/link";

import { brandingQuery, myTenantsQuery } from "@/data/tenants/queries";
import { useMe } from "@/features/identity/session";
import { TenantLogo } from "@/features/identity/tenant-logo";
import { useSwitchWorkspace } from "@/features/identity/use-switch-workspace";
import { cx } from "@/ui/cx";
import { Menu, MenuItem, MenuLink, MenuSeparator } from "@/ui/menu";

import { Wordmark } from "./wordmark";

/** Whose dashboard this is, and the way into another of one's workspaces. */
export function WorkspaceSwitcher({ compact }: { compact?: boolean }) {
  const me = useMe();
  const branding = useQuery(brandingQuery);
  const mine = useQuery({ ...myTenantsQuery, enabled: me.user !== null });
  const { enter, entering } = useSwitchWorkspace();
  const logo = branding.data?.logo;
  const several = (mine.data?.length ?? 0) > 1;
  const home = (
    <Link href="/" aria-label={`${me.tenant.name}, home`} className="flex min-h-10 items-center">
      {logo ? <TenantLogo hash={logo} /> : <Wordmark />}
    </Link>
  );
  if (!several) return home;
  return (
    <div className={cx("flex min-w-0 gap-1", compact ? "items-center" : "flex-col items-start")}>
      {home}
      <Menu
        align="start"
        trigger={
          <button
            type="button"
            aria-busy={entering || undefined}
            className={cx("flex min-h-9 max-w-full min-w-0 items-center gap-1.5 rounded-[5px] px-2 text-[0.875rem] text-soft hover:bg-rule/60 hover:text-ink", !compact && "-mx-2")}
          >
            <span className={cx("truncate", compact && "sr-only")}>{me.tenant.name}</span>
            <ChevronsUpDown aria-hidden className="size-4 shrink-0 text-faint" />
            <span className="sr-only">Switch workspace</span>
          </button>
        }
      >
        {mine.data?.map((one) => (
          <MenuItem key={one.tenant.id} disabled={one.current || entering} onSelect={() => enter(one.tenant.id)}>
            <Check aria-hidden className={cx("size-4 shrink-0 text-accent", !one.current && "invisible")} />
            <span className="min-w-0 truncate">{one.tenant.name}</span>
            {one.tenant.state !== "active" && <span className="ml-auto pl-3 text-xs text-faint">{one.tenant.state === "suspended" ? "suspended" : "to be deleted"}</span>}
          </MenuItem>
        ))}
        <MenuSeparator />
        <MenuLink href="/settings/workspace/">Workspace settings</MenuLink>
      </Menu>
    </div>
  );
}
