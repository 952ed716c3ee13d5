"use client";

import { Tabs as Base } from "@base-ui/react/tabs";
import Link from "next/link";
import type { ReactNode } from "react";

import { cx } from "./cx";

const tabClass =
  "relative inline-flex min-h-11 items-center gap-2 px-1 font-medium whitespace-nowrap text-soft outline-offset-[-2px] hover:text-ink after:absolute after:inset-x-0 after:-bottom-px after:h-0.5 after:bg-transparent";
const activeClass = "text-ink after:bg-accent!";
const listClass = "flex gap-6 overflow-x-auto border-b border-rule [scrollbar-width:none]";

export interface TabItem {
  value: string;
  label: ReactNode;
  content: ReactNode;
}

export function Tabs({ label, value, onChange, items }: { label: string; value: string; onChange: (value: string) => void; items: TabItem[] }) {
  return (
    <Base.Root value={value} onValueChange={(next) => onChange(String(next))}>
      <Base.List aria-label={label} className={listClass}>
        {items.map((item) => (
          <Base.Tab key={item.value} value={item.value} className={cx(tabClass, item.value === value && activeClass)}>
            {item.label}
          </Base.Tab>
        ))}
      </Base.List>
      {items.map((item) => (
        <Base.Panel key={item.value} value={item.value} className="pt-6 outline-offset-4">
          {item.content}
        </Base.Panel>
      ))}
    </Base.Root>
  );
}

/** Tabs that are pages of their own: links, with the current one marked. */
export function LinkTabs({ label, current, items }: { label: string; current: string; items: { href: string; label: string }[] }) {
  return (
    <nav aria-label={label} className={cx(listClass, "mb-8")}>
      {items.map((item) => (
        <Link
          key={item.href}
          href={item.href}
          aria-current={item.href === current ? "page" : undefined}
          className={cx(tabClass, item.href === current && activeClass)}
        >
          {item.label}
        </Link>
      ))}
    </nav>
  );
}
