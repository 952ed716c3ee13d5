"use client";

import { useEffect, useRef } from "react";

import { brandVariables } from "@/lib/brand";
import { cx } from "@/ui/cx";
import { TextField } from "@/ui/field";

const HEX = /^#[0-9a-f]{6}$/;
/** Where the system's picker begins; as in the tokens. */
const PROGRAM_ACCENT = { light: "#2238d0", dark: "#9db0ff" };

interface ColorFieldProps {
  label: string;
  hint: string;
  value: string;
  onChange: (value: string) => void;
  readOnly: boolean;
  error: string | null;
  /** The colour that pages take; null: the program's own, or not known yet. */
  shown: string | null;
  theme: "light" | "dark";
}

/** A colour in words and by the system's own picker, and how it looks on a page. */
export function ColorField({ label, hint, value, onChange, readOnly, error, shown, theme }: ColorFieldProps) {
  return (
    <div className="grid gap-3 sm:grid-cols-[minmax(0,1fr)_auto]">
      <div className="flex items-start gap-2.5">
        <TextField label={label} hint={hint} error={error} readOnly={readOnly} maxLength={7} spellCheck={false} autoComplete="off" value={value} onChange={(event) => onChange(event.target.value.toLowerCase())} className="flex-1" />
        <input
          type="color"
          aria-label={`${label}: choose`}
          disabled={readOnly}
          value={[value, shown ?? ""].find((color) => HEX.test(color)) ?? PROGRAM_ACCENT[theme]}
          onChange={(event) => onChange(event.target.value)}
          className="mt-[1.6875rem] h-10 w-12 shrink-0 cursor-pointer rounded-[5px] border border-rule-strong bg-raised p-1 disabled:opacity-60"
        />
      </div>
      <Sample color={shown} theme={theme} />
    </div>
  );
}

function Sample({ color, theme }: { color: string | null; theme: "light" | "dark" }) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const style = box.current?.style;
    // Below this box alone, and only what is a colour.
    const variables = brandVariables({ accent_color: color, accent_color_dark: color });
    if (!style || !variables) return;
    for (const [name, variable] of Object.entries(variables)) style.setProperty(name, variable);
    return () => {
      for (const name of Object.keys(variables)) style.removeProperty(name);
    };
  }, [color]);
  return (
    <div ref={box} aria-hidden className={cx("flex h-16 items-center gap-4 self-start rounded-[5px] border border-rule bg-paper px-4 sm:mt-[1.6875rem]", theme === "light" ? "scheme-light" : "scheme-dark")}>
      <span className="rounded-[5px] bg-accent px-3 py-1.5 text-[0.875rem] font-medium text-on-accent">Button</span>
      <span className="text-[0.875rem] text-accent underline underline-offset-2">Link</span>
    </div>
  );
}
