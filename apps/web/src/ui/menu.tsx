"use client";

import { Menu as Base } from "@base-ui/react/menu";
import Link from "next/link";
import type { ReactElement, ReactNode } from "react";

import { cx } from "./cx";

export function Menu({ trigger, children, align = "end" }: { trigger: ReactElement<Record<string, unknown>>; children: ReactNode; align?: "start" | "end" }) {
  return (
    <Base.Root>
      <Base.Trigger render={trigger} />
      <Base.Portal>
        <Base.Positioner sideOffset={6} align={align} className="z-50 outline-none">
          <Base.Popup className="min-w-48 rounded-[7px] border border-rule bg-raised p-1 shadow-float outline-none">{children}</Base.Popup>
        </Base.Positioner>
      </Base.Portal>
    </Base.Root>
  );
}

const itemClass =
  "flex min-h-9 w-full items-center gap-2.5 rounded-[4px] px-2.5 text-left outline-none select-none data-disabled:opacity-50 data-highlighted:bg-sunken";

export function MenuItem({ children, danger, disabled, onSelect }: { children: ReactNode; danger?: boolean; disabled?: boolean; onSelect: () => void }) {
  return (
    <Base.Item disabled={disabled} onClick={onSelect} className={cx(itemClass, danger && "text-bad")}>
      {children}
    </Base.Item>
  );
}

export function MenuLink({ children, href, external }: { children: ReactNode; href: string; external?: boolean }) {
  return (
    // eslint-disable-next-line jsx-a11y/anchor-has-content -- Base UI puts the children in.
    <Base.LinkItem className={itemClass} render={external ? <a href={href} /> : <Link href={href} />}>
      {children}
    </Base.LinkItem>
  );
}

export function MenuSeparator() {
  return <Base.Separator className="my-1 h-px bg-rule" />;
}

export function MenuRadioGroup<T extends string>({ label, value, options, onChange }: { label: string; value: T; options: { value: T; label: string }[]; onChange: (value: T) => void }) {
  return (
    <Base.RadioGroup value={value} onValueChange={(next: T) => onChange(next)} aria-label={label}>
      <Base.Group>
        <Base.GroupLabel className="px-2.5 pt-1.5 pb-1 text-xs text-faint">{label}</Base.GroupLabel>
        {options.map((option) => (
          <Base.RadioItem key={option.value} value={option.value} closeOnClick={false} className={itemClass}>
            <span aria-hidden className={cx("size-2 rounded-full border border-rule-strong", option.value === value && "border-accent bg-accent")} />
            {option.label}
          </Base.RadioItem>
        ))}
      </Base.Group>
    </Base.RadioGroup>
  );
}
