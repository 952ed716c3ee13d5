"use client";

import { asProblem } from "@plasma/client/problem";
import type { ModelCache, ModelCacheSettings } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import { useState, type SyntheticEvent } from "react";

import { usePurgeModelCache, useSaveModelCache } from "@/data/model-cache/mutations";
import { modelCacheQuery } from "@/data/model-cache/queries";
import { useDenied } from "@/features/identity/session";
import { Button } from "@/ui/button";
import { ConfirmDialog } from "@/ui/confirm-dialog";
import { Dialog, DialogActions } from "@/ui/dialog";
import { CheckField, TextField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";
import { QueryView } from "@/ui/query-view";
import { Time } from "@/ui/time";

import { durationText } from "./cache-duration";
import { CacheDurationField } from "./cache-duration-field";

const KILOBYTE = 1_024;

/** Whether answers are given again where a request names a model. Routes have settings of their own. */
export function CacheSection() {
  const cache = useQuery(modelCacheQuery);
  const denied = useDenied("models:write");
  const purge = usePurgeModelCache();
  const [isEditing, setEditing] = useState(false);
  const [isPurging, setPurging] = useState(false);
  return (
    <section className="mt-12" aria-labelledby="cache">
      <div className="mb-3 flex flex-wrap items-baseline justify-between gap-3">
        <h2 id="cache" className="font-serif text-[1.375rem] font-medium tracking-tight">Cache of answers</h2>
        <div className="flex flex-wrap gap-2">
          <Button small reason={denied} onClick={() => setEditing(true)}>Change</Button>
          <Button small variant="danger" reason={denied} onClick={() => setPurging(true)}>Purge</Button>
        </div>
      </div>
      <QueryView query={cache}>{(data) => <Summary cache={data} />}</QueryView>
      <Dialog open={isEditing} onOpenChange={setEditing} title="Cache of answers">
        {cache.data && <CacheForm settings={cache.data.settings} onClose={() => setEditing(false)} />}
      </Dialog>
      <ConfirmDialog
        open={isPurging}
        onOpenChange={setPurging}
        title="Purge the cache?"
        action="Purge"
        busy={purge.isPending}
        error={purge.error}
        onConfirm={() => purge.mutate(undefined, { onSuccess: () => setPurging(false) })}
      >
        All kept answers and vectors of this workspace are thrown away, those of routes too. The next questions are answered by models.
      </ConfirmDialog>
    </section>
  );
}

function Summary({ cache: { settings, purged_at } }: { cache: ModelCache }) {
  const { enabled, ttl_seconds, any_temperature, embeddings } = settings;
  return (
    <div className="border-y border-rule-strong py-4">
      <p>
        {enabled
          ? `The same question to the same model is answered once in ${durationText(ttl_seconds ?? 3_600)}${any_temperature ? ", also where the request wants chance" : ""}.`
          : "Off for requests that name a model: each is answered by the model."}
      </p>
      <p className="mt-1">
        {(embeddings ?? true) ? "A text is embedded once by each model, for applications, ingestion and search." : "Texts are embedded each time."}
      </p>
      <p className="mt-1 text-[0.875rem] text-soft">
        Routes have settings of their own. A hit costs nothing.
        {purged_at !== null && <> Last purged <Time at={purged_at} />.</>}
      </p>
    </div>
  );
}

function CacheForm({ settings: given, onClose }: { settings: ModelCacheSettings; onClose: () => void }) {
  const save = useSaveModelCache();
  const [settings, setSettings] = useState(given);
  const problem = save.error ? asProblem(save.error) : null;
  const fieldError = (field: string) => (problem?.field === field ? problem.detail : null);
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    save.mutate(settings, { onSuccess: onClose });
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      {problem && !problem.field ? <ProblemNote error={save.error} /> : null}
      <CheckField label="Give answers again where a request names a model" hint="Only for the same question. Similar questions are a route's matter." checked={settings.enabled ?? false} onChange={(event) => setSettings({ ...settings, enabled: event.target.checked })} />
      <CacheDurationField seconds={settings.ttl_seconds ?? 3_600} onChange={(ttl_seconds) => setSettings({ ...settings, ttl_seconds })} error={fieldError("ttl_seconds")} />
      <TextField
        label="Longest answer"
        type="number"
        min={1}
        max={4_096}
        required
        value={Math.round((settings.answer_bytes_max ?? 256 * KILOBYTE) / KILOBYTE)}
        onChange={(event) => setSettings({ ...settings, answer_bytes_max: Number(event.target.value) * KILOBYTE })}
        error={fieldError("answer_bytes_max")}
        hint="Kilobytes. Longer ones are not kept, also for routes."
      />
      <CheckField label="Also where the request wants chance" hint="A temperature above 0 without a seed, or several answers." checked={settings.any_temperature ?? false} onChange={(event) => setSettings({ ...settings, any_temperature: event.target.checked })} />
      <CheckField label="Embed a text once" hint="The vector of a text is given again by the same model, to everybody in this workspace." checked={settings.embeddings ?? true} onChange={(event) => setSettings({ ...settings, embeddings: event.target.checked })} />
      <DialogActions>
        <Button type="submit" variant="primary" busy={save.isPending}>Save changes</Button>
        <Button variant="quiet" onClick={onClose}>Cancel</Button>
      </DialogActions>
    </form>
  );
}
