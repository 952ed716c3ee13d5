"use client";

import { useId, type ComponentProps, type ReactNode } from "react";

import { cx } from "./cx";

const control =
  "w-full rounded-[5px] border border-rule-strong bg-raised px-3 text-ink placeholder:text-faint transition-colors hover:border-ink aria-invalid:border-bad disabled:opacity-60 focus-visible:outline-offset-0";

interface FieldProps {
  label: string;
  hint?: ReactNode;
  error?: string | null;
  optional?: boolean;
  className?: string;
}

interface Wiring {
  id: string;
  "aria-describedby": string | undefined;
  "aria-invalid": true | undefined;
}

/** A label, its control, a hint and an error, wired to each other. */
export function Field({ label, hint, error, optional, className, children }: FieldProps & { children: (wiring: Wiring) => ReactNode }) {
  const id = useId();
  const describedBy = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ");
  return (
    <div className={cx("flex min-w-0 flex-col gap-1.5", className)}>
      <label htmlFor={id} className="text-[0.875rem] font-medium">
        {label}
        {optional && <span className="ml-1.5 font-normal text-faint">optional</span>}
      </label>
      {children({ id, "aria-describedby": describedBy || undefined, "aria-invalid": error ? true : undefined })}
      {hint && <p id={`${id}-hint`} className="text-[0.8125rem] leading-snug text-faint">{hint}</p>}
      {error && <p id={`${id}-error`} className="text-[0.8125rem] leading-snug text-bad">{error}</p>}
    </div>
  );
}

function split<T extends FieldProps>(props: T) {
  const { label, hint, error, optional, className, ...rest } = props;
  return { field: { label, hint, error, optional, className }, rest };
}

export function TextField(props: FieldProps & ComponentProps<"input">) {
  const { field, rest } = split(props);
  return <Field {...field}>{(wiring) => <input {...rest} {...wiring} className={cx(control, "h-10")} />}</Field>;
}

export function TextAreaField(props: FieldProps & ComponentProps<"textarea">) {
  const { field, rest } = split(props);
  return <Field {...field}>{(wiring) => <textarea rows={5} {...rest} {...wiring} className={cx(control, "py-2 leading-normal")} />}</Field>;
}

export function SelectField(props: FieldProps & ComponentProps<"select">) {
  const { field, rest } = split(props);
  return <Field {...field}>{(wiring) => <Select {...rest} {...wiring} />}</Field>;
}

export function TextInput({ className, ...rest }: ComponentProps<"input"> & { "aria-label": string }) {
  return <input {...rest} className={cx(control, "h-10", className)} />;
}

/** The system's own select: it is the most usable one on a phone and with a screen reader. */
export function Select({ className, children, ...rest }: ComponentProps<"select">) {
  return (
    <span className={cx("relative block min-w-0", className)}>
      <select {...rest} className={cx(control, "h-10 appearance-none truncate pr-9")}>{children}</select>
      <svg aria-hidden viewBox="0 0 12 12" className="pointer-events-none absolute top-1/2 right-3 size-3 -translate-y-1/2 text-soft">
        <path d="M2 4.5 6 8.5 10 4.5" fill="none" stroke="currentColor" strokeWidth="1.5" />
      </svg>
    </span>
  );
}

export function CheckField({ label, hint, ...rest }: { label: ReactNode; hint?: ReactNode } & ComponentProps<"input">) {
  const id = useId();
  return (
    <div className="flex gap-2.5">
      <input {...rest} id={id} type="checkbox" className="mt-1 size-4 shrink-0 accent-accent" />
      <label htmlFor={id} className="leading-snug">
        {label}
        {hint && <span className="block text-[0.8125rem] text-faint">{hint}</span>}
      </label>
    </div>
  );
}
