"use client";

import { useEffect, useRef } from "react";

import { TextField } from "@/ui/field";

/** The six digits of an authenticator, however they are pasted. */
export function CodeField({ value, onChange, error, focused }: { value: string; onChange: (code: string) => void; error?: string | null; focused?: boolean }) {
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (focused) field.current?.focus();
  }, [focused]);
  return (
    <TextField
      ref={field}
      label="Code"
      name="code"
      required
      inputMode="numeric"
      autoComplete="one-time-code"
      maxLength={8}
      value={value}
      onChange={(event) => onChange(digits(event.target.value))}
      error={error}
      hint="The six digits that your authenticator shows now."
    />
  );
}

export function digits(text: string): string {
  return text.replace(/\D/g, "").slice(0, 6);
}
