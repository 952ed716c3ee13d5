import type { FilterCondition, FilterValue, Metadata, MetadataValue, SearchFilter } from "@plasma/client/types";

/** "3" is a number, "true" a boolean, "\"3\"" and everything else text. */
export function parseValue(text: string): string | number | boolean {
  const value = text.trim();
  if (value === "true") return true;
  if (value === "false") return false;
  if (/^-?(0|[1-9]\d*)(\.\d+)?$/.test(value)) return Number(value);
  const quoted = /^"(.*)"$/.exec(value);
  return quoted ? (quoted[1] ?? "") : value;
}

/** The same for lists, "[a, 2]", and for times and places as the API writes them. */
function parseMetadataValue(text: string): MetadataValue {
  if (text.startsWith("[") && text.endsWith("]")) return parseList(text.slice(1, -1));
  if (text.startsWith("{")) {
    try {
      return JSON.parse(text) as MetadataValue;
    } catch {
      return text;
    }
  }
  return parseValue(text);
}

function parseList(text: string): (string | number | boolean)[] {
  return text.split(",").map((part) => part.trim()).filter(Boolean).map(parseValue);
}

/** The text that `parseValue` reads as this value. */
export function valueText(value: MetadataValue): string {
  const text = typeof value === "object" ? showValue(value) : String(value);
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
    metadata[name] = parseMetadataValue(value);
  }
  return { metadata, error: null };
}

/** A value for a person. */
export function showValue(value: MetadataValue): string {
  if (Array.isArray(value)) return value.map(String).join(", ");
  if (typeof value !== "object") return String(value);
  return "time" in value ? value.time : `${value.lat}, ${value.lon}`;
}

export type FilterOperator = "is" | "ne" | "in" | "contains_all" | "prefix" | "between" | "exists" | "missing" | "near" | "box";

/** In the order of the choice; `example` shows the form of the value, and null means that there is none. */
export const FILTER_OPERATORS: { value: FilterOperator; label: string; example: string | null }[] = [
  { value: "is", label: "is", example: "growth" },
  { value: "ne", label: "is not", example: "draft" },
  { value: "in", label: "is one of", example: "growth, brand" },
  { value: "contains_all", label: "has all of", example: "tax, audit" },
  { value: "prefix", label: "begins with", example: "Guide" },
  { value: "between", label: "is within", example: "2020..2026 or 2026-01-01..2026-06-30" },
  { value: "exists", label: "is there", example: null },
  { value: "missing", label: "is missing", example: null },
  { value: "near", label: "is near", example: "48.14, 11.58, 5000 m" },
  { value: "box", label: "is in the box", example: "south, west, north, east" },
];

/** The document's own fields, beside its metadata. */
export const OWN_FIELDS = ["$title", "$created_at", "$updated_at", "$document_id"] as const;

export interface FilterRow {
  id: number;
  field: string;
  operator: FilterOperator;
  value: string;
}

/** Whether all conditions must hold, or one of them is enough. */
export type FilterMatch = "all" | "any";

/** The rows of the filter form as the API's filter; rows that are not filled in are left out. */
export function buildFilter(rows: readonly FilterRow[], match: FilterMatch = "all"): SearchFilter | undefined {
  const parts: SearchFilter[] = [];
  for (const row of rows) {
    const field = row.field.trim();
    const condition = field === "" ? null : buildCondition(row.operator, row.value.trim());
    if (condition !== null) parts.push({ [field]: condition });
  }
  const [only] = parts;
  if (only === undefined) return undefined;
  if (parts.length === 1) return only;
  if (match === "any") return { or: parts };
  const names = parts.flatMap((part) => Object.keys(part));
  // A field that is tested twice needs two objects.
  return new Set(names).size === names.length ? Object.assign({}, ...parts) : { and: parts };
}

/** Null: the value does not say anything yet. */
export function buildCondition(operator: FilterOperator, value: string): FilterCondition | null {
  if (operator === "exists" || operator === "missing") return { exists: operator === "exists" };
  if (value === "") return null;
  switch (operator) {
    case "is":
      return parseValue(value);
    case "ne":
      return { ne: parseValue(value) };
    case "in":
    case "contains_all": {
      const values: FilterValue[] = parseList(value);
      return values.length === 0 ? null : operator === "in" ? { in: values } : { contains_all: values };
    }
    case "prefix":
      return { prefix: value };
    case "between":
      return parseRange(value);
    case "near": {
      const [lat, lon, within] = parseNumbers(value, 3) ?? [];
      return lat === undefined || lon === undefined || within === undefined ? null : { near: { lat, lon, within_m: within } };
    }
    case "box": {
      const [south, west, north, east] = parseNumbers(value, 4) ?? [];
      if (south === undefined || west === undefined || north === undefined || east === undefined) return null;
      return { box: { south, west, north, east } };
    }
  }
}

/** Exactly so many numbers, separated by commas; a unit behind the last is left out. */
function parseNumbers(text: string, count: number): number[] | null {
  const parts = text.replace(/\s*m$/, "").split(",").map((part) => part.trim());
  const numbers = parts.map(Number);
  return parts.length === count && parts.every((part) => part !== "") && numbers.every(Number.isFinite) ? numbers : null;
}

type Bound = number | string;

/** "2020..2026", "2020..", "..2026-06-30"; null when an end is neither a number nor a date. The last day belongs to the range. */
export function parseRange(text: string): { gte?: Bound; lte?: Bound } | null {
  const match = /^\s*(\S*?)\s*(?:\.\.|\bto\b)\s*(\S*)\s*$/.exec(text);
  if (!match) return null;
  const [from = "", to = ""] = [match[1], match[2]];
  const gte = parseBound(from, "T00:00:00Z");
  const lte = parseBound(to, "T23:59:59.999999Z");
  if (gte === null || lte === null || (gte === undefined && lte === undefined)) return null;
  return { ...(gte !== undefined && { gte }), ...(lte !== undefined && { lte }) };
}

/** Undefined: there is none. Null: it is not one. */
function parseBound(text: string, timeOfDay: string): Bound | undefined | null {
  if (text === "") return undefined;
  if (/^-?\d+(\.\d+)?$/.test(text)) return Number(text);
  if (/^\d{4}-\d{2}-\d{2}$/.test(text)) return text + timeOfDay;
  return /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/i.test(text) ? text : null;
}
