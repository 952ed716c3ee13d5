/** One field that a change changed; null where it was not there. */
export interface ChangeRow {
  field: string;
  before: string | null;
  after: string | null;
}

type Fields = Record<string, unknown>;

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A value on one line: texts as they are, everything else as JSON. */
export function valueText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value) ?? "";
}

/** What was before and after, a row for each field, fields of objects by their paths. */
export function changeRows(data: Fields): ChangeRow[] {
  const rows: ChangeRow[] = [];
  const compare = (path: string, before: unknown, after: unknown) => {
    const old = isFields(before) ? before : null;
    const young = isFields(after) ? after : null;
    if ((old || before === null || before === undefined) && (young || after === null || after === undefined) && (old || young)) {
      const names = [...new Set([...Object.keys(old ?? {}), ...Object.keys(young ?? {})])];
      for (const name of names) compare(path === "" ? name : `${path}.${name}`, old?.[name], young?.[name]);
      return;
    }
    const text = (value: unknown) => (value === null || value === undefined ? null : valueText(value));
    if (text(before) !== text(after) || (before !== undefined && before !== null)) rows.push({ field: path, before: text(before), after: text(after) });
  };
  if (data["before"] !== undefined || data["after"] !== undefined) compare("", data["before"], data["after"]);
  return rows.filter((row) => row.field !== "");
}

/** Everything that a record says beside what changed. */
export function detailRows(data: Fields): [string, string][] {
  return Object.entries(data)
    .filter(([name, value]) => name !== "before" && name !== "after" && value !== null)
    .map(([name, value]) => [name, valueText(value)]);
}
