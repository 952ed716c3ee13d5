"use client";

import Link from "next/link";
import { usePathname } from "next/navigation";
import { useEffect, useRef, type ReactNode } from "react";

import { cx } from "@/ui/cx";

import { useMe } from "./session";
import { currentSetting, visibleSettings, type SettingsGroup } from "./settings-navigation";

/** The settings' own navigation beside each of their pages; on a narrow screen it unfolds above the page. */
export function SettingsShell({ children }: { children: ReactNode }) {
  const { permissions } = useMe();
  const pathname = usePathname();
  const groups = visibleSettings(permissions);
  const current = currentSetting(pathname);
  return (
    <div className="lg:grid lg:grid-cols-[12.5rem_minmax(0,1fr)] lg:gap-12">
      <Folded groups={groups} current={current?.href ?? null} label={current?.label ?? "Settings"} pathname={pathname} />
      <nav aria-label="Settings" className="hidden lg:block">
        <div className="sticky top-12 max-h-[calc(100dvh-6rem)] overflow-y-auto pr-2 pb-6">
          <Groups groups={groups} current={current?.href ?? null} />
        </div>
      </nav>
      <div className="min-w-0">{children}</div>
    </div>
  );
}

function Folded({ groups, current, label, pathname }: { groups: SettingsGroup[]; current: string | null; label: string; pathname: string }) {
  const details = useRef<HTMLDetailsElement>(null);
  // Whoever has chosen a page wants to see it.
  useEffect(() => {
    if (details.current) details.current.open = false;
  }, [pathname]);
  return (
    <details ref={details} className="group mb-8 rounded-[5px] border border-rule-strong bg-raised lg:hidden">
      <summary className="flex min-h-11 list-none items-center justify-between gap-3 px-3.5 font-medium [&::-webkit-details-marker]:hidden">
        <span><span className="text-faint">Settings: </span>{label}</span>
        <svg aria-hidden viewBox="0 0 12 12" className="size-3 shrink-0 text-soft transition-transform group-open:rotate-180">
          <path d="M2 4.5 6 8.5 10 4.5" fill="none" stroke="currentColor" strokeWidth="1.5" />
        </svg>
      </summary>
      <nav aria-label="Settings" className="border-t border-rule px-3.5 pt-3 pb-4"><Groups groups={groups} current={current} /></nav>
    </details>
  );
}

function Groups({ groups, current }: { groups: SettingsGroup[]; current: string | null }) {
  return groups.map((group) => (
    <div key={group.label} className="mb-5 last:mb-0">
      <p className="eyebrow mb-1">{group.label}</p>
      <ul>
        {group.items.map((item) => (
          <li key={item.href}>
            <Link
              href={item.href}
              aria-current={item.href === current ? "page" : undefined}
              className={cx(
                "-mx-2.5 flex min-h-9 items-center rounded-[5px] px-2.5 transition-colors",
                item.href === current ? "bg-sunken font-medium text-ink" : "text-soft hover:text-ink",
              )}
            >
              {item.label}
            </Link>
          </li>
        ))}
      </ul>
    </div>
  ));
}
