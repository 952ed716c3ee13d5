import type { Metadata, MetadataValue, SearchFilter } from "@plasma/client/types";

/** "3" is a number, "true" a boolean, "\"3\"" and everything else text. */
export function parseValue(text: string): MetadataValue {
  const value = text.trim();
  if (value === "true") return true;
  if (value === "false") return false;
  if (/^-?(0|[1-9]\d*)(\.\d+)?$/.test(value)) return Number(value);
  const quoted = /^"(.*)"$/.exec(value);
  return quoted ? (quoted[1] ?? "") : value;
}

/** The text that `parseValue` reads as this value. */
export function valueText(value: MetadataValue): string {
  const text = String(value);
  return typeof value === "string" && parseValue(text) !== value ? `"${text}"` : text;
}

/** The rows with a condition on one value of a field: added, or taken away when it is there already. */
export function toggleValue(rows: readonly FilterRow[], field: string, value: MetadataValue): FilterRow[] {
  const text = valueText(value);
  const others = rows.filter((row) => row.field.trim() !== field);
  if (hasValue(rows, field, value)) return others;
  return [...others, { id: Math.max(0, ...rows.map((row) => row.id)) + 1, field, operator: "is", value: text }];
}

export function hasValue(rows: readonly FilterRow[], field: string, value: MetadataValue): boolean {
  return rows.some((row) => row.field.trim() === field && row.operator === "is" && parseValue(row.value) === value);
}

/** Lines of `name: value`. */
export function parseMetadata(text: string): { metadata: Metadata; error: string | null } {
  const metadata: Metadata = {};
  const lines = text.split("\n").map((line) => line.trim());
  for (const [index, line] of lines.entries()) {
    if (line === "") continue;
    const match = /^([^:]+):(.*)$/.exec(line);
    const name = match?.[1]?.trim() ?? "";
    const value = match?.[2]?.trim() ?? "";
    if (name === "" || value === "") return { metadata, error: `Line ${index + 1} is not of the form name: value.` };
    metadata[name] = parseValue(value);
  }
  return { metadata, error: null };
}

export type FilterOperator = "is" | "in" | "between";

export interface FilterRow {
  id: number;
  field: string;
  operator: FilterOperator;
  value: string;
}

/** The rows of the filter form as the API's filter; rows that are not filled in are left out. */
export function buildFilter(rows: readonly FilterRow[]): SearchFilter | undefined {
  const filter: SearchFilter = {};
  for (const row of rows) {
    const field = row.field.trim();
    const value = row.value.trim();
    if (field === "" || value === "") continue;
    if (row.operator === "is") filter[field] = parseValue(value);
    else if (row.operator === "in") filter[field] = { in: value.split(",").map((part) => part.trim()).filter(Boolean).map(parseValue) };
    else {
      const range = parseRange(value);
      if (range) filter[field] = range;
    }
  }
  return Object.keys(filter).length > 0 ? filter : undefined;
}

/** "2020..2026", "2020..", "..2026"; null when neither end is a number. */
export function parseRange(text: string): { gte?: number; lte?: number } | null {
  const match = /^\s*(-?\d+(?:\.\d+)?)?\s*(?:\.\.|to)\s*(-?\d+(?:\.\d+)?)?\s*$/.exec(text);
  if (!match || (match[1] === undefined && match[2] === undefined)) return null;
  return { ...(match[1] !== undefined && { gte: Number(match[1]) }), ...(match[2] !== undefined && { lte: Number(match[2]) }) };
}
