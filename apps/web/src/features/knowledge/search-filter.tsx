"use client";

import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { ListFilter, X } from "lucide-react";
import { useId } from "react";

import { collectionQuery } from "@/data/collections/queries";
import { documentsQuery } from "@/data/documents/queries";
import { useCan } from "@/features/identity/session";
import { Button, IconButton } from "@/ui/button";
import { Select, TextInput } from "@/ui/field";

import { buildCondition, FILTER_OPERATORS, OWN_FIELDS, type FilterMatch, type FilterOperator, type FilterRow } from "./metadata";

interface SearchFilterProps {
  collection: string;
  rows: FilterRow[];
  onChange: (rows: FilterRow[]) => void;
  match: FilterMatch;
  onMatchChange: (match: FilterMatch) => void;
}

/** Conditions on the documents: on their metadata, and on what every document has. */
export function SearchFilterRows({ collection, rows, onChange, match, onMatchChange }: SearchFilterProps) {
  const names = useFieldNames(collection, rows.length > 0);
  const list = useId();
  const change = (id: number, part: Partial<FilterRow>) => onChange(rows.map((row) => (row.id === id ? { ...row, ...part } : row)));
  const add = () => onChange([...rows, { id: Math.max(0, ...rows.map((row) => row.id)) + 1, field: "", operator: "is", value: "" }]);
  return (
    <>
      <Button small variant="quiet" icon={<ListFilter aria-hidden className="size-4" />} onClick={add}>Filter by metadata</Button>
      {rows.length > 1 && (
        <Select aria-label="How conditions are joined" value={match} onChange={(event) => onMatchChange(event.target.value as FilterMatch)} className="w-44">
          <option value="all">all must hold</option>
          <option value="any">one is enough</option>
        </Select>
      )}
      {rows.length > 0 && (
        <>
          <datalist id={list}>{names.map((name) => <option key={name} value={name} />)}</datalist>
          <ul aria-label="Conditions" className="flex w-full flex-col gap-2">
            {rows.map((row) => (
              <ConditionRow
                key={row.id}
                row={row}
                names={list}
                onChange={(part) => change(row.id, part)}
                onRemove={() => onChange(rows.filter((other) => other.id !== row.id))}
              />
            ))}
          </ul>
        </>
      )}
    </>
  );
}

interface ConditionRowProps {
  row: FilterRow;
  /** The id of the list of names. */
  names: string;
  onChange: (part: Partial<FilterRow>) => void;
  onRemove: () => void;
}

function ConditionRow({ row, names, onChange, onRemove }: ConditionRowProps) {
  const operator = FILTER_OPERATORS.find((known) => known.value === row.operator);
  const example = operator?.example ?? null;
  const wrong = example !== null && row.value.trim() !== "" && buildCondition(row.operator, row.value.trim()) === null;
  return (
    <li className="grid grid-cols-[minmax(0,1fr)_8rem_2.25rem] gap-2 sm:grid-cols-[minmax(0,12rem)_8.5rem_minmax(0,18rem)_2.25rem]">
      <TextInput aria-label="Metadata field" placeholder="field" list={names} value={row.field} onChange={(event) => onChange({ field: event.target.value })} />
      <Select aria-label="Condition" value={row.operator} onChange={(event) => onChange({ operator: event.target.value as FilterOperator })}>
        {FILTER_OPERATORS.map(({ value, label }) => <option key={value} value={value}>{label}</option>)}
      </Select>
      {example !== null && (
        <TextInput
          aria-label="Value"
          placeholder={example}
          aria-invalid={wrong ? true : undefined}
          value={row.value}
          onChange={(event) => onChange({ value: event.target.value })}
          className="col-span-2 row-start-2 sm:col-span-1 sm:row-start-auto"
        />
      )}
      <IconButton label="Remove this condition" onClick={onRemove} className="col-start-3 row-start-1 sm:col-start-4 sm:row-start-auto">
        <X aria-hidden className="size-4" />
      </IconButton>
    </li>
  );
}

/** Declared fields, fields of the newest documents, and what every document has. */
function useFieldNames(collection: string, enabled: boolean): string[] {
  const canRead = useCan("collections:read");
  const declared = useQuery({ ...collectionQuery(collection), enabled: enabled && canRead });
  const newest = useInfiniteQuery({ ...documentsQuery(collection, null), enabled: enabled && canRead });
  const names = new Set(Object.keys(declared.data?.fields ?? {}));
  for (const document of newest.data ?? []) Object.keys(document.metadata).forEach((name) => names.add(name));
  return [...[...names].sort((left, right) => left.localeCompare(right)), ...OWN_FIELDS];
}
