"use client";

import type { FusionMethod, RankingSettings } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import { useId, type ReactNode } from "react";

import { useSaveRanking } from "@/data/collections/mutations";
import { modelsQuery } from "@/data/models/queries";
import { useCan, useDenied } from "@/features/identity/session";
import { Button } from "@/ui/button";
import { CheckField, SelectField, TextField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";
import { Segmented } from "@/ui/segmented";
import { useToast } from "@/ui/toast";

import { BUILT_IN, differs, draftOf, settingsOf, type RankingDraft } from "./ranking-draft";

const METHODS: { value: FusionMethod; label: string }[] = [
  { value: "weighted", label: "By scores" },
  { value: "rrf", label: "By ranks" },
];

interface Props {
  collection: string;
  /** The collection's own. */
  settings: RankingSettings;
  draft: RankingDraft;
  onChange: (draft: RankingDraft) => void;
}

/** How results are put in order: for this search, or from now on for the whole collection. */
export function SearchRanking({ collection, settings, draft, onChange }: Props) {
  const change = (part: Partial<RankingDraft>) => onChange({ ...draft, ...part });
  const changed = differs(draft, settings);
  const { weights } = draft;
  return (
    <details className="group w-full">
      <summary className="inline-flex w-fit list-none items-center gap-1.5 text-[0.8125rem] font-medium text-accent [&::-webkit-details-marker]:hidden">
        <span aria-hidden className="transition-transform group-open:rotate-90">›</span> Ranking
        {changed && <span className="font-normal text-soft">(changed for this search)</span>}
      </summary>
      <div className="mt-3 grid gap-x-8 gap-y-5 border-y border-rule py-5 sm:grid-cols-2 lg:grid-cols-3">
        <Group title="Joining both halves">
          <Segmented small label="Join" value={draft.method} options={METHODS} onChange={(method) => change({ method })} />
          <CheckField
            label={draft.method === "weighted" ? "Weights by the length of the query" : "Both count alike"}
            checked={weights === null}
            onChange={(event) => change({ weights: event.target.checked ? null : { vector: 1, text: 1 } })}
          />
          {weights && (
            <>
              <Slider label="Meaning" value={weights.vector} max={3} step={0.1} onChange={(vector) => change({ weights: { ...weights, vector } })} />
              <Slider label="Words" value={weights.text} max={3} step={0.1} onChange={(text) => change({ weights: { ...weights, text } })} />
            </>
          )}
        </Group>
        <Group title="Variety">
          <Slider label="Unlike each other" value={draft.diversity} max={1} step={0.05} onChange={(diversity) => change({ diversity })} />
          <SelectField label="Of one document" value={draft.perDocument} onChange={(event) => change({ perDocument: Number(event.target.value) })}>
            <option value={0}>as many as there are</option>
            {[1, 2, 3, 5, 10].map((count) => <option key={count} value={count}>{count} at most</option>)}
            {![0, 1, 2, 3, 5, 10].includes(draft.perDocument) && <option value={draft.perDocument}>{draft.perDocument} at most</option>}
          </SelectField>
          <CheckField label="Fold passages that say the same" checked={draft.fold} onChange={(event) => change({ fold: event.target.checked })} />
        </Group>
        <Group title="Newness and popularity">
          <TextField
            label="Time field"
            optional
            list={`times-${collection}`}
            placeholder="$updated_at"
            value={draft.recencyField}
            onChange={(event) => change({ recencyField: event.target.value.trim() })}
          />
          <datalist id={`times-${collection}`}><option value="$updated_at" /><option value="$created_at" /></datalist>
          {draft.recencyField !== "" && (
            <>
              <NumberField label="Counts half after, in days" value={draft.halfLifeDays} min={0.01} max={36_500} onChange={(halfLifeDays) => change({ halfLifeDays })} />
              <Slider label="Newness" value={draft.recencyWeight} max={3} step={0.1} onChange={(recencyWeight) => change({ recencyWeight })} />
            </>
          )}
          <TextField
            label="Popularity field"
            optional
            placeholder="views"
            value={draft.popularityField}
            onChange={(event) => change({ popularityField: event.target.value.trim() })}
          />
          {draft.popularityField !== "" && (
            <Slider label="Popularity" value={draft.popularityWeight} max={3} step={0.1} onChange={(popularityWeight) => change({ popularityWeight })} />
          )}
        </Group>
        <Group title="A second look">
          <RerankerChoice draft={draft} change={change} />
        </Group>
        <Save collection={collection} settings={settings} draft={draft} onChange={onChange} />
      </div>
    </details>
  );
}

function Group({ title, children }: { title: string; children: ReactNode }) {
  return (
    <fieldset className="flex min-w-0 flex-col gap-3">
      <legend className="mb-3 text-[0.8125rem] text-faint">{title}</legend>
      {children}
    </fieldset>
  );
}

function Slider({ label, value, max, step, onChange }: { label: string; value: number; max: number; step: number; onChange: (value: number) => void }) {
  const id = useId();
  return (
    <div className="grid grid-cols-[minmax(0,9rem)_minmax(0,1fr)_2.25rem] items-center gap-3">
      <label htmlFor={id} className="text-[0.875rem]">{label}</label>
      <input
        id={id}
        type="range"
        min={0}
        // A value that was set over the API may lie beyond.
        max={Math.max(max, value)}
        step={step}
        value={value}
        onChange={(event) => onChange(Number(event.target.value))}
        className="w-full accent-accent"
      />
      <output htmlFor={id} className="figure text-right text-[0.8125rem] text-soft">{Number(value.toFixed(2))}</output>
    </div>
  );
}

function NumberField({ label, value, min, max, onChange }: { label: string; value: number; min: number; max: number; onChange: (value: number) => void }) {
  return (
    <TextField
      label={label}
      type="number"
      inputMode="decimal"
      min={min}
      max={max}
      step="any"
      defaultValue={value}
      onChange={(event) => {
        const number = event.target.valueAsNumber;
        if (number >= min && number <= max) onChange(number);
      }}
    />
  );
}

function RerankerChoice({ draft, change }: { draft: RankingDraft; change: (part: Partial<RankingDraft>) => void }) {
  const models = useQuery({ ...modelsQuery, enabled: useCan("models:read") });
  const names = (models.data ?? []).filter((model) => model.kind === "rerank").map((model) => model.id);
  const choices = draft.reranker !== "" && !names.includes(draft.reranker) ? [draft.reranker, ...names] : names;
  return (
    <>
      <SelectField
        label="Reranker"
        hint={choices.length === 0 ? "No model of the kind “rerank” is connected. One can be added on the page Models." : "Reads the best candidates with the query and orders them anew."}
        value={draft.reranker}
        onChange={(event) => change({ reranker: event.target.value })}
      >
        <option value="">none</option>
        {choices.map((name) => <option key={name} value={name}>{name}</option>)}
      </SelectField>
      {draft.reranker !== "" && (
        <SelectField label="Reads" value={draft.rerankTop} onChange={(event) => change({ rerankTop: Number(event.target.value) })}>
          {[...new Set([10, 20, 30, 50, 100, draft.rerankTop])].sort((left, right) => left - right).map((count) => <option key={count} value={count}>{count} candidates</option>)}
        </SelectField>
      )}
    </>
  );
}

function Save({ collection, settings, draft, onChange }: Props) {
  const denied = useDenied("collections:write");
  const save = useSaveRanking();
  const notify = useToast();
  const own = draftOf(settings);
  const changed = differs(draft, settings);
  return (
    <div className="flex flex-wrap items-center gap-2.5 sm:col-span-2 lg:col-span-3">
      <Button
        small
        reason={denied}
        disabled={!changed}
        busy={save.isPending}
        onClick={() => save.mutate({ id: collection, ranking: settingsOf(draft) }, { onSuccess: () => notify("Searches of this collection are ranked like this from now on.") })}
      >
        Keep for this collection
      </Button>
      <Button small variant="quiet" disabled={!changed} onClick={() => onChange(own)}>As the collection has it</Button>
      <Button small variant="quiet" disabled={!differs(draft, {})} onClick={() => onChange(BUILT_IN)}>As built in</Button>
      {save.error ? <ProblemNote error={save.error} /> : null}
    </div>
  );
}
