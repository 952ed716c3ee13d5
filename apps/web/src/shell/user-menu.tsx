"use client";

import { ChevronsUpDown } from "lucide-react";

import { useLogout } from "@/data/session/mutations";
import { useMe } from "@/features/identity/session";
import { setTheme, THEME_OPTIONS, useTheme } from "@/lib/theme";
import { cx } from "@/ui/cx";
import { Menu, MenuItem, MenuLink, MenuRadioGroup, MenuSeparator } from "@/ui/menu";
import { useToast } from "@/ui/toast";

export function UserMenu({ compact }: { compact?: boolean }) {
  const me = useMe();
  const theme = useTheme();
  const logout = useLogout();
  const notify = useToast();
  const name = me.user?.name || me.actor.name;

  const signOut = () =>
    logout.mutate(undefined, {
      onSuccess: ({ url }) => location.replace(url ?? "/login/"),
      onError: () => notify("Signing out failed: the server did not answer. Try again.", "bad"),
    });

  const trigger = (
    <button type="button" className={cx("flex min-h-11 min-w-0 items-center gap-2.5 rounded-[5px] text-left hover:bg-rule/60", compact ? "px-1" : "-mx-2 w-[calc(100%+1rem)] px-2")}>
      <span aria-hidden className="grid size-8 shrink-0 place-items-center rounded-full bg-ink font-serif text-[0.9375rem] text-paper">{initial(name)}</span>
      <span className={cx("min-w-0 flex-1 leading-tight", compact && "sr-only")}>
        <span className="block truncate font-medium">{name}</span>
        <span className="block truncate text-[0.8125rem] text-faint">{me.tenant.name}</span>
      </span>
      {!compact && <ChevronsUpDown aria-hidden className="size-4 shrink-0 text-faint" />}
      <span className="sr-only">Account menu</span>
    </button>
  );

  return (
    <Menu trigger={trigger}>
      <MenuLink href="/settings/">Profile and settings</MenuLink>
      <MenuLink href="/docs/" external>API reference</MenuLink>
      <MenuSeparator />
      <MenuRadioGroup label="Theme" value={theme} options={THEME_OPTIONS} onChange={setTheme} />
      <MenuSeparator />
      <MenuItem onSelect={signOut}>Sign out</MenuItem>
    </Menu>
  );
}

function initial(name: string): string {
  return (Array.from(name.trim())[0] ?? "?").toUpperCase();
}
