"use client";

import { useId } from "react";

import { cx } from "./cx";

/** A small set of exclusive choices, side by side; radio buttons underneath. */
export function Segmented<T extends string>({ label, value, options, onChange, small }: {
  label: string;
  value: T;
  options: { value: T; label: string }[];
  onChange: (value: T) => void;
  small?: boolean;
}) {
  const name = useId();
  return (
    <fieldset className="inline-flex rounded-[5px] border border-rule-strong bg-raised p-0.5">
      <legend className="sr-only">{label}</legend>
      {options.map((option) => (
        <label
          key={option.value}
          htmlFor={`${name}-${option.value}`}
          className={cx(
            "rounded-[3px] px-3 font-medium transition-colors has-focus-visible:outline-2 has-focus-visible:outline-accent",
            small ? "py-1 text-[0.8125rem]" : "py-1.5 text-[0.875rem]",
            option.value === value ? "bg-ink text-paper" : "text-soft hover:text-ink",
          )}
        >
          <input
            type="radio"
            id={`${name}-${option.value}`}
            name={name}
            value={option.value}
            checked={option.value === value}
            onChange={() => onChange(option.value)}
            className="sr-only"
          />
          {option.label}
        </label>
      ))}
    </fieldset>
  );
}
