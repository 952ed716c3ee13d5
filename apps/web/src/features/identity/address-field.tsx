"use client";

import type { Problem } from "@plasma/client/types";

import { TextAreaField } from "@/ui/field";

import { addressAt, addressesOf } from "./address-list";

/** From where a key may be used. */
export function AddressField({ value, onChange, problem }: { value: string; onChange: (text: string) => void; problem: Problem | null }) {
  const wrong = addressAt(problem?.field, addressesOf(value));
  const error = wrong !== null ? `“${wrong}” ${problem?.detail ?? ""}` : problem?.field === "addresses" ? problem.detail : null;
  return (
    <TextAreaField
      label="Only from these addresses"
      optional
      rows={2}
      spellCheck={false}
      placeholder={"192.0.2.0/24\n2001:db8::1"}
      value={value}
      onChange={(event) => onChange(event.target.value)}
      error={error}
      hint="One a line: addresses or networks. Empty: from anywhere."
    />
  );
}
