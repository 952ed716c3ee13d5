"use client";

import type { Collection } from "@plasma/client/types";
import { Plus, X } from "lucide-react";

import { Button, IconButton } from "@/ui/button";
import { Select, TextInput } from "@/ui/field";

export type FieldType = Collection["fields"][string]["type"];

export interface FieldRow {
  id: number;
  name: string;
  type: FieldType;
}

const TYPES: { value: FieldType; label: string }[] = [
  { value: "string", label: "text" },
  { value: "number", label: "number" },
  { value: "bool", label: "true or false" },
  { value: "time", label: "time" },
  { value: "list", label: "list" },
  { value: "geo", label: "place" },
];

export function fieldRows(fields: Collection["fields"]): FieldRow[] {
  return Object.entries(fields).map(([name, { type }], id) => ({ id, name, type }));
}

/** Rows without a name are left out. */
export function fieldsOf(rows: readonly FieldRow[]): Collection["fields"] {
  return Object.fromEntries(rows.filter((row) => row.name.trim() !== "").map((row) => [row.name.trim(), { type: row.type }]));
}

/** The types of metadata fields that a collection declares. */
export function CollectionFields({ rows, onChange, error }: { rows: FieldRow[]; onChange: (rows: FieldRow[]) => void; error: string | null }) {
  const change = (id: number, part: Partial<FieldRow>) => onChange(rows.map((row) => (row.id === id ? { ...row, ...part } : row)));
  const add = () => onChange([...rows, { id: Math.max(-1, ...rows.map((row) => row.id)) + 1, name: "", type: "string" }]);
  return (
    <fieldset>
      <legend className="text-[0.875rem] font-medium">Types of metadata fields<span className="ml-1.5 font-normal text-faint">optional</span></legend>
      <p className="text-[0.8125rem] leading-snug text-faint">A document with another type is refused. Fields that are not named here may hold anything.</p>
      {rows.length > 0 && (
        <ul className="mt-2 flex flex-col gap-2">
          {rows.map((row) => (
            <li key={row.id} className="grid grid-cols-[minmax(0,1fr)_9rem_2.25rem] gap-2">
              <TextInput aria-label="Field" placeholder="published" maxLength={100} value={row.name} onChange={(event) => change(row.id, { name: event.target.value })} />
              <Select aria-label="Type" value={row.type} onChange={(event) => change(row.id, { type: event.target.value as FieldType })}>
                {TYPES.map(({ value, label }) => <option key={value} value={value}>{label}</option>)}
              </Select>
              <IconButton label="Remove this field" onClick={() => onChange(rows.filter((other) => other.id !== row.id))}>
                <X aria-hidden className="size-4" />
              </IconButton>
            </li>
          ))}
        </ul>
      )}
      {error && <p className="mt-1.5 text-[0.8125rem] leading-snug text-bad">{error}</p>}
      <Button small variant="quiet" className="mt-2" icon={<Plus aria-hidden className="size-4" />} onClick={add}>Add a field</Button>
    </fieldset>
  );
}
