/** The units in which people say how long an answer holds, largest first. */
export const UNITS = [
  { value: "days", seconds: 86_400 },
  { value: "hours", seconds: 3_600 },
  { value: "minutes", seconds: 60 },
  { value: "seconds", seconds: 1 },
] as const;

export type Unit = (typeof UNITS)[number]["value"];

/** 7,200 as 2 hours: the largest unit in which it is a whole number. */
export function inUnit(seconds: number): { count: number; unit: Unit } {
  for (const unit of UNITS) if (seconds % unit.seconds === 0) return { count: seconds / unit.seconds, unit: unit.value };
  return { count: seconds, unit: "seconds" };
}

export function inSeconds(count: number, unit: Unit): number {
  return Math.round(count * (UNITS.find(({ value }) => value === unit)?.seconds ?? 1));
}

/** "2 hours", "1 day". */
export function durationText(seconds: number): string {
  const { count, unit } = inUnit(seconds);
  return `${count} ${count === 1 ? unit.slice(0, -1) : unit}`;
}
