"use client";

import { asProblem } from "@plasma/client/problem";
import type { Route, RouteSettings, RouteStrategy } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import { useState, type SyntheticEvent } from "react";

import { modelsQuery } from "@/data/models/queries";
import { useSaveRoute } from "@/data/routes/mutations";
import { Button } from "@/ui/button";
import { Dialog, DialogActions } from "@/ui/dialog";
import { CheckField, SelectField, TextAreaField, TextField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";

import { CapabilityChecks } from "./capability-fields";
import { NO_CACHE, RouteCacheFields } from "./route-cache-fields";
import { STRATEGIES } from "./route-strategies";

export function RouteDialog({ route, onClose }: { route: Route | "new" | null; onClose: () => void }) {
  return (
    <Dialog open={route !== null} onOpenChange={(open) => !open && onClose()} title={route === "new" ? "Add a route" : "Edit route"}>
      {route && <RouteForm route={route === "new" ? null : route} onClose={onClose} />}
    </Dialog>
  );
}

/** One candidate a line; a number after the name is its weight. */
function candidatesOf(text: string): RouteSettings["candidates"] {
  return text.split("\n").map((line) => line.trim()).filter((line) => line !== "").map((line) => {
    const [, model = line, weight] = /^(\S+)\s+(\d+)$/.exec(line) ?? [];
    return { model, weight: weight === undefined ? 1 : Number(weight) };
  });
}

function RouteForm({ route, onClose }: { route: Route | null; onClose: () => void }) {
  const save = useSaveRoute();
  const models = useQuery(modelsQuery);
  const [name, setName] = useState(route?.name ?? "");
  const [strategy, setStrategy] = useState<RouteStrategy>(route?.settings.strategy ?? "ordered");
  const [candidates, setCandidates] = useState(
    (route?.settings.candidates ?? []).map(({ model, weight }) => (weight === undefined || weight === 1 ? model : `${model} ${weight}`)).join("\n"),
  );
  const [isPrivate, setPrivate] = useState(route?.settings.residency === "private");
  const [goesOn, setGoesOn] = useState(route?.settings.on_broken_stream === "continue_on_next");
  const [patience, setPatience] = useState(route?.settings.first_token_timeout_ms ? String(route.settings.first_token_timeout_ms / 1000) : "");
  const [threshold, setThreshold] = useState(String(route?.settings.complexity_threshold ?? ""));
  const [cache, setCache] = useState(route?.settings.cache ?? NO_CACHE);
  const [domain, setDomain] = useState(route?.settings.requires_domain ?? "");
  const [requires, setRequires] = useState(route?.settings.requires ?? []);
  const problem = save.error ? asProblem(save.error) : null;
  const fieldError = (field: string) => (problem?.field?.startsWith(field) ? problem.detail : null);
  const known = (models.data ?? []).filter((model) => model.kind === "chat").map((model) => model.id);

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    const settings: RouteSettings = {
      ...route?.settings,
      strategy,
      candidates: candidatesOf(candidates),
      requires_domain: domain.trim() === "" ? null : domain.trim(),
      requires,
      residency: isPrivate ? "private" : "any",
      on_broken_stream: goesOn ? "continue_on_next" : "end_with_error",
      complexity_threshold: strategy === "complexity" && threshold.trim() !== "" ? Number(threshold) : null,
      first_token_timeout_ms: patience.trim() === "" ? null : Math.round(Number(patience) * 1000),
      cache,
    };
    save.mutate({ name: name.trim(), settings }, { onSuccess: onClose });
  };

  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      {problem && !problem.field ? <ProblemNote error={save.error} /> : null}
      <TextField label="Name" required disabled={route !== null} pattern="[a-z0-9._\-]+" maxLength={63} value={name} onChange={(event) => setName(event.target.value)} error={fieldError("name")} hint="Callers name it as the model. Small letters, digits, dots and hyphens." />
      <SelectField label="Who is asked first" value={strategy} onChange={(event) => setStrategy(event.target.value as RouteStrategy)} hint={STRATEGIES[strategy].about}>
        {Object.entries(STRATEGIES).map(([value, { label }]) => <option key={value} value={value}>{label}</option>)}
      </SelectField>
      {strategy === "complexity" ? (
        <TextField label="Threshold" optional type="number" min={0} max={1} step={0.01} value={threshold} onChange={(event) => setThreshold(event.target.value)} error={fieldError("complexity_threshold")} hint="0 to 1: from which probability that a small model errs the dearest is asked first. Empty: the trained one." />
      ) : null}
      <TextAreaField
        label="Candidates"
        optional
        rows={4}
        className="figure"
        value={candidates}
        onChange={(event) => setCandidates(event.target.value)}
        error={fieldError("candidates")}
        hint={`One model a line${strategy === "weighted" ? ", with its weight after the name" : ""}; none: every chat model. ${known.length > 0 ? `There are ${known.slice(0, 8).join(", ")}${known.length > 8 ? " …" : ""}.` : ""}`}
      />
      <TextField label="Patience" optional type="number" min={0.1} max={600} step={0.1} value={patience} onChange={(event) => setPatience(event.target.value)} error={fieldError("first_token_timeout_ms")} hint="Seconds to the first token, after which the next candidate is asked." />
      <TextField label="Required domain" optional maxLength={40} pattern="[a-z0-9\-]+" value={domain} onChange={(event) => setDomain(event.target.value)} error={fieldError("requires_domain")} hint="Only models of this domain are asked, such as legal." />
      <CapabilityChecks legend="Required capabilities" hint="Models that are known to lack one are not asked. What a request itself needs is looked at in any case." chosen={requires} onChange={setRequires} error={fieldError("requires[")} />
      <CheckField label="Only models on this machine" checked={isPrivate} onChange={(event) => setPrivate(event.target.checked)} />
      <CheckField label="Go on at the next candidate when a stream breaks" hint="Else the stream ends with an error. Only answers that are text so far go on." checked={goesOn} onChange={(event) => setGoesOn(event.target.checked)} />
      <RouteCacheFields cache={cache} onChange={setCache} fieldError={fieldError} />
      <DialogActions>
        <Button type="submit" variant="primary" busy={save.isPending}>{route ? "Save changes" : "Add route"}</Button>
        <Button variant="quiet" onClick={onClose}>Cancel</Button>
      </DialogActions>
    </form>
  );
}
