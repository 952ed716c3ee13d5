"use client";

import Link from "next/link";
import type { ComponentProps, ReactNode } from "react";

import { cx } from "./cx";
import { Tooltip } from "./tooltip";

export type ButtonVariant = "primary" | "secondary" | "quiet" | "danger";

const variants: Record<ButtonVariant, string> = {
  primary: "bg-accent text-on-accent hover:bg-accent-strong border-transparent",
  secondary: "bg-raised text-ink border-rule-strong hover:border-ink",
  quiet: "bg-transparent text-soft border-transparent hover:text-ink hover:bg-sunken",
  danger: "bg-raised text-bad border-current hover:bg-bad-soft",
};

export function buttonClass(variant: ButtonVariant = "secondary", small = false, extra?: string): string {
  return cx(
    "inline-flex shrink-0 items-center justify-center gap-2 rounded-[5px] border font-medium whitespace-nowrap transition-colors select-none",
    small ? "min-h-8 px-2.5 text-[0.8125rem]" : "min-h-10 px-4 text-[0.9375rem]",
    variants[variant],
    extra,
  );
}

interface ButtonProps extends Omit<ComponentProps<"button">, "disabled"> {
  variant?: ButtonVariant;
  small?: boolean;
  busy?: boolean;
  disabled?: boolean;
  /** Why the button cannot be used. It stays focusable, so that the reason can be read. */
  reason?: string | null;
  icon?: ReactNode;
}

export function Button({ variant, small, busy, disabled, reason, icon, className, children, onClick, type = "button", ...rest }: ButtonProps) {
  const blocked = Boolean(disabled || busy || reason);
  const button = (
    <button
      {...rest}
      type={type}
      aria-disabled={blocked || undefined}
      aria-busy={busy || undefined}
      className={buttonClass(variant, small, cx(blocked && "cursor-not-allowed! opacity-55", className))}
      onClick={(event) => {
        if (blocked) event.preventDefault();
        else onClick?.(event);
      }}
    >
      {busy ? <Spinner /> : icon}
      {children}
    </button>
  );
  return reason ? <Tooltip text={reason}>{button}</Tooltip> : button;
}

/** A square button that shows only an icon; `label` is its name for everybody who cannot see it. */
export function IconButton({ label, className, ...rest }: ComponentProps<"button"> & { label: string }) {
  return (
    <button
      {...rest}
      type="button"
      aria-label={label}
      title={label}
      className={cx(
        "inline-flex size-9 shrink-0 items-center justify-center rounded-[5px] text-soft transition-colors hover:bg-sunken hover:text-ink",
        className,
      )}
    />
  );
}

export function ButtonLink({ variant, small, className, icon, children, ...rest }: ComponentProps<typeof Link> & { variant?: ButtonVariant; small?: boolean; icon?: ReactNode }) {
  return (
    <Link {...rest} className={buttonClass(variant, small, className)}>
      {icon}
      {children}
    </Link>
  );
}

export function Spinner() {
  return (
    <span
      aria-hidden
      className="size-[1em] animate-spin rounded-full border-2 border-current border-r-transparent motion-reduce:animate-breathe motion-reduce:border-r-current"
    />
  );
}
