import type { UsageDimension, UsageLine, UsageSums } from "@plasma/client/types";

export type UsageMeasure = "cost" | "tokens" | "calls";
/** What the charts tell apart: a dimension, or nothing. */
export type UsageSplit = Exclude<UsageDimension, "day"> | "none";

export interface UsageSeries {
  name: string;
  /** One for each day. Cost in millionths. */
  values: number[];
}

/** Members that a chart shows by themselves; the rest are one. */
const MEMBERS_MAX = 5;

/** What a group is called: the name of a key, a person or a team where one may know it, else the id. */
export function memberName(line: UsageLine, split: UsageSplit): string {
  switch (split) {
    case "model": return line.model ?? "no model";
    case "provider": return line.provider ?? "no provider";
    case "key": return line.key_name ?? line.key ?? "without a key";
    case "user": return line.user_name ?? line.user ?? "without a login";
    case "team": return line.team_name ?? line.team ?? "without a team";
    case "route": return line.route ?? "without a route";
    case "none": return "all";
  }
}

export function costIn(sums: UsageSums, currency: string): number {
  return sums.cost.find((cost) => cost.currency === currency)?.amount_micros ?? 0;
}

/** The currency of which most was spent: amounts of several cannot be stacked. */
export function mainCurrency(total: UsageSums): string {
  return total.cost.reduce<{ currency: string; amount_micros: number }>((most, cost) => (cost.amount_micros > most.amount_micros ? cost : most), { currency: total.cost[0]?.currency ?? "USD", amount_micros: 0 }).currency;
}

/** Lines by day (and by member) as stacks of bars: for each day, also for those without calls. */
export function usageSeries(lines: UsageLine[], days: string[], split: UsageSplit, measure: UsageMeasure, currency: string): UsageSeries[] {
  const place = new Map(days.map((day, index) => [day, index]));
  const stacks = new Map<string, number[]>();
  const add = (name: string, line: UsageLine, value: number) => {
    const index = line.day === null ? undefined : place.get(line.day);
    if (index === undefined) return;
    let values = stacks.get(name);
    if (!values) stacks.set(name, (values = days.map(() => 0)));
    values[index] = (values[index] ?? 0) + value;
  };
  for (const line of lines) {
    if (split !== "none") add(memberName(line, split), line, valueOf(line, measure, currency));
    else for (const [name, value] of partsOf(line, measure, currency)) add(name, line, value);
  }
  const series = [...stacks].map(([name, values]) => ({ name, values }));
  return split === "none" ? series : largest(series, days.length);
}

function valueOf(sums: UsageSums, measure: UsageMeasure, currency: string): number {
  switch (measure) {
    case "cost": return costIn(sums, currency);
    case "tokens": return sums.input_tokens + sums.output_tokens;
    case "calls": return sums.calls;
  }
}

function partsOf(sums: UsageSums, measure: UsageMeasure, currency: string): [string, number][] {
  switch (measure) {
    case "cost": return [["Cost", costIn(sums, currency)]];
    case "tokens": return [["Read", sums.input_tokens], ["Written", sums.output_tokens]];
    case "calls": return [["Succeeded", sums.calls - sums.failed - sums.cancelled], ["Cancelled", sums.cancelled], ["Failed", sums.failed]];
  }
}

function largest(series: UsageSeries[], days: number): UsageSeries[] {
  const sum = ({ values }: UsageSeries) => values.reduce((total, value) => total + value, 0);
  const sorted = series.toSorted((a, b) => sum(b) - sum(a));
  const rest = sorted.slice(MEMBERS_MAX);
  if (rest.length === 0) return sorted;
  const values = Array.from({ length: days }, (_, day) => rest.reduce((total, one) => total + (one.values[day] ?? 0), 0));
  return [...sorted.slice(0, MEMBERS_MAX), { name: `${rest.length} more`, values }];
}
