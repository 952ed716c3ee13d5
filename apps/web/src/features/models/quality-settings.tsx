"use client";

import { asProblem } from "@plasma/client/problem";
import type { QualitySettings } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import { useState, type SyntheticEvent } from "react";

import { modelsQuery } from "@/data/models/queries";
import { useSaveQualitySettings } from "@/data/quality/mutations";
import { qualitySettingsQuery } from "@/data/quality/queries";
import { useDenied } from "@/features/identity/session";
import { parseMoneyMicros } from "@/lib/format";
import { Button } from "@/ui/button";
import { SelectField, TextAreaField, TextField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";
import { QueryView, SkeletonRows } from "@/ui/query-view";

export function QualitySettingsSection() {
  const settings = useQuery(qualitySettingsQuery);
  return (
    <section aria-labelledby="judge" className="mt-12">
      <h2 id="judge" className="font-serif text-[1.375rem] font-medium tracking-tight">The judge</h2>
      <p className="mt-1 mb-5 max-w-2xl text-soft">A chat model that scores a sample of answers in the background, by your rubric and within a budget of its own. What it reads is sealed, and removed when it has judged.</p>
      <QueryView query={settings} loading={<SkeletonRows />}>
        {(data) => <SettingsForm key={JSON.stringify(data)} settings={data} />}
      </QueryView>
    </section>
  );
}

/** Per cent as a person writes them, as a share; null when that is none. */
function parseShare(text: string): number | null {
  const percent = Number(text.trim());
  return text.trim() !== "" && percent >= 0 && percent <= 100 ? percent / 100 : null;
}

function SettingsForm({ settings }: { settings: QualitySettings }) {
  const save = useSaveQualitySettings();
  const denied = useDenied("models:write");
  const models = useQuery(modelsQuery);
  const [model, setModel] = useState(settings.judge_model ?? "");
  const [percent, setPercent] = useState(String(Number((settings.judge_share * 100).toFixed(4))));
  const [limit, setLimit] = useState(settings.judge_limit_micros === null ? "" : String(settings.judge_limit_micros / 1_000_000));
  const [currency, setCurrency] = useState(settings.currency);
  const [rubric, setRubric] = useState(settings.rubric);
  const [costWeight, setCostWeight] = useState(String(settings.cost_weight));
  const problem = save.error ? asProblem(save.error) : null;
  const fieldError = (field: string) => (problem?.field === field ? problem.detail : null);
  const share = parseShare(percent);
  const micros = limit.trim() === "" ? null : parseMoneyMicros(limit);
  const limitWrong = limit.trim() !== "" && micros === null;
  const chatModels = (models.data ?? []).filter((one) => one.kind === "chat").map((one) => one.id);

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    if (share === null || limitWrong) return;
    save.mutate({
      judge_model: model === "" ? null : model,
      judge_share: share,
      judge_limit_micros: micros,
      currency,
      rubric: rubric.trim() === "" || (settings.rubric_is_default && rubric === settings.rubric) ? null : rubric,
      cost_weight: Number(costWeight),
    });
  };

  return (
    <form onSubmit={submit} className="flex max-w-2xl flex-col gap-4">
      {problem && !problem.field ? <ProblemNote error={save.error} /> : null}
      <SelectField label="Judge" value={model} onChange={(event) => setModel(event.target.value)} error={fieldError("judge_model")}>
        <option value="">Nobody</option>
        {model !== "" && !chatModels.includes(model) && <option value={model}>{model}</option>}
        {chatModels.map((id) => <option key={id} value={id}>{id}</option>)}
      </SelectField>
      <div className="grid gap-4 sm:grid-cols-[1fr_1fr_6rem]">
        <TextField label="Share of calls" required inputMode="decimal" value={percent} onChange={(event) => setPercent(event.target.value)} error={fieldError("judge_share") ?? (share === null ? "must be 0 to 100" : null)} hint="Per cent of all chat calls." />
        <TextField label="Limit a month" required={model !== ""} optional={model === ""} inputMode="decimal" value={limit} onChange={(event) => setLimit(event.target.value)} error={fieldError("judge_limit_micros") ?? (limitWrong ? "must be an amount such as 50 or 0.25" : null)} hint="0: only a judge that costs nothing." />
        <TextField label="Currency" required pattern="[A-Z]{3}" maxLength={3} value={currency} onChange={(event) => setCurrency(event.target.value.toUpperCase())} error={fieldError("currency")} />
      </div>
      <TextAreaField label="Rubric" optional rows={7} maxLength={8000} value={rubric} onChange={(event) => setRubric(event.target.value)} error={fieldError("rubric")} hint="What makes an answer worth 1, and what 0. Leave it empty for the default." />
      <TextField label="Weight of the cost" required type="number" min={0} max={10} step={0.01} value={costWeight} onChange={(event) => setCostWeight(event.target.value)} error={fieldError("cost_weight")} hint="For routes by quality for its cost: how much quality the dearest candidate must have more than one that is free." />
      <div><Button type="submit" variant="primary" reason={denied} busy={save.isPending}>Save</Button></div>
    </form>
  );
}
