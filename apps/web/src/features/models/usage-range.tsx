"use client";

import { useState } from "react";

import { TextInput } from "@/ui/field";
import { Segmented } from "@/ui/segmented";

/** Two dates (UTC), both included. */
export interface Range {
  from: string;
  to: string;
}

const DAY_MS = 86_400_000;

/** The last days, today included. */
export function lastDays(days: number, nowMs: number): Range {
  return { from: dayText(nowMs - (days - 1) * DAY_MS), to: dayText(nowMs) };
}

function dayText(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 10);
}

/** Every day of a range, at most 366. */
export function daysOf({ from, to }: Range): string[] {
  const days: string[] = [];
  const end = Date.parse(to);
  for (let day = Date.parse(from); day <= end && days.length < 366; day += DAY_MS) days.push(dayText(day));
  return days;
}

type Preset = "7" | "30" | "90" | "365" | "own";

const PRESETS: { value: Preset; label: string }[] = [
  { value: "7", label: "7 days" },
  { value: "30", label: "30 days" },
  { value: "90", label: "90 days" },
  { value: "365", label: "A year" },
  { value: "own", label: "Dates" },
];

/** The last days by a click, or any two dates. */
export function RangePicker({ range, onChange }: { range: Range; onChange: (range: Range) => void }) {
  const [preset, setPreset] = useState<Preset>("30");
  const choose = (value: Preset) => {
    setPreset(value);
    if (value !== "own") onChange(lastDays(Number(value), Date.now()));
  };
  return (
    <div className="flex flex-wrap items-center gap-2.5">
      <Segmented label="Period" value={preset} options={PRESETS} onChange={choose} />
      {preset === "own" && (
        <>
          <TextInput type="date" required aria-label="First day (UTC)" className="w-auto!" value={range.from} max={range.to} onChange={(event) => event.target.value && onChange({ ...range, from: event.target.value })} />
          <TextInput type="date" required aria-label="Last day (UTC)" className="w-auto!" value={range.to} min={range.from} onChange={(event) => event.target.value && onChange({ ...range, to: event.target.value })} />
        </>
      )}
    </div>
  );
}
