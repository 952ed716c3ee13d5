"use client";

import { ListFilter, X } from "lucide-react";

import { Button, IconButton } from "@/ui/button";
import { Select, TextInput } from "@/ui/field";

import { parseRange, type FilterOperator, type FilterRow } from "./metadata";

const PLACEHOLDERS: Record<FilterOperator, string> = { is: "growth", in: "growth, brand", between: "2020..2026" };

/** Conditions on the documents' metadata; all of them must hold. */
export function SearchFilterRows({ rows, onChange }: { rows: FilterRow[]; onChange: (rows: FilterRow[]) => void }) {
  const change = (id: number, part: Partial<FilterRow>) => onChange(rows.map((row) => (row.id === id ? { ...row, ...part } : row)));
  const add = () => onChange([...rows, { id: Math.max(0, ...rows.map((row) => row.id)) + 1, field: "", operator: "is", value: "" }]);
  return (
    <>
      <Button small variant="quiet" icon={<ListFilter aria-hidden className="size-4" />} onClick={add}>Filter by metadata</Button>
      {rows.length > 0 && (
        <ul className="flex w-full flex-col gap-2">
          {rows.map((row) => (
            <li key={row.id} className="grid grid-cols-[minmax(0,1fr)_7rem_2.25rem] gap-2 sm:grid-cols-[minmax(0,12rem)_7.5rem_minmax(0,16rem)_2.25rem]">
              <TextInput aria-label="Metadata field" placeholder="field" value={row.field} onChange={(event) => change(row.id, { field: event.target.value })} />
              <Select aria-label="Condition" value={row.operator} onChange={(event) => change(row.id, { operator: event.target.value as FilterOperator })}>
                <option value="is">is</option>
                <option value="in">is one of</option>
                <option value="between">is within</option>
              </Select>
              <TextInput
                aria-label="Value"
                placeholder={PLACEHOLDERS[row.operator]}
                aria-invalid={row.operator === "between" && row.value !== "" && parseRange(row.value) === null ? true : undefined}
                value={row.value}
                onChange={(event) => change(row.id, { value: event.target.value })}
                className="col-span-2 row-start-2 sm:col-span-1 sm:row-start-auto"
              />
              <IconButton label="Remove this condition" onClick={() => onChange(rows.filter((other) => other.id !== row.id))} className="col-start-3 row-start-1 sm:col-start-auto sm:row-start-auto">
                <X aria-hidden className="size-4" />
              </IconButton>
            </li>
          ))}
        </ul>
      )}
    </>
  );
}
