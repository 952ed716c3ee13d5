"use client";

import { asProblem } from "@plasma/client/problem";
import type { Prompt, PromptMessage, PromptRole, PromptVersion } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useState, type SyntheticEvent } from "react";

import { modelsQuery } from "@/data/models/queries";
import { useAddPromptVersion } from "@/data/prompts/mutations";
import { routesQuery } from "@/data/routes/queries";
import { Button } from "@/ui/button";
import { SelectField, TextAreaField, TextField } from "@/ui/field";
import { Section } from "@/ui/page-header";
import { ProblemNote } from "@/ui/problem-note";
import { useToast } from "@/ui/toast";

import { draftOf, newVariable, ROLES, undeclared, versionOf, type PromptDraft } from "./prompt-draft";
import { PromptTrial } from "./prompt-trial";
import { PromptVariables } from "./prompt-variables";

/** A version's text. Versions never change, so saving adds the next one. */
export function PromptEditor({ prompt, version, denied, onAdded }: { prompt: Prompt; version: PromptVersion | null; denied: string | null; onAdded: (version: number) => void }) {
  const add = useAddPromptVersion(prompt.name);
  const notify = useToast();
  const [draft, setDraft] = useState<PromptDraft>(() => draftOf(version));
  const set = (changes: Partial<PromptDraft>) => setDraft((now) => ({ ...now, ...changes }));
  const problem = add.error ? asProblem(add.error) : null;
  const missing = undeclared(draft);
  const dirty = JSON.stringify({ ...draft, note: "" }) !== JSON.stringify(draftOf(version));

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    add.mutate(versionOf(draft), {
      onSuccess: (added) => {
        notify(`Version ${added.version} was added.`);
        onAdded(added.version);
      },
    });
  };

  return (
    <div className="grid gap-x-12 gap-y-12 lg:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
      <form onSubmit={submit} aria-label="Text of the prompt" className="min-w-0">
        {version && version.version !== prompt.newest_version && <p role="status" className="mb-5 rounded-[5px] bg-sunken px-4 py-3 text-[0.875rem]">This is version {version.version}; the newest is {prompt.newest_version}. Saving adds version {prompt.newest_version + 1}.</p>}
        <Messages messages={draft.messages} problem={problem} onChange={(messages) => set({ messages })} />
        <PromptVariables variables={draft.variables} problem={problem} onChange={(variables) => set({ variables })} />
        {missing.length > 0 && (
          <p role="status" className="mt-4 flex flex-wrap items-center gap-2 text-[0.875rem] text-warn">
            Not declared yet:
            {missing.map((name) => (
              <Button key={name} small icon={<Plus aria-hidden className="size-3.5" />} onClick={() => set({ variables: [...draft.variables, newVariable(name)] })}>{name}</Button>
            ))}
          </p>
        )}
        <Parameters draft={draft} problem={problem} onChange={set} />
        <div className="mt-8 flex flex-col gap-4 border-t border-rule pt-6">
          {problem && <ProblemNote error={add.error} />}
          <TextField label="Note" optional maxLength={500} value={draft.note} onChange={(event) => set({ note: event.target.value })} hint="Why this version is made." />
          <div><Button type="submit" variant="primary" busy={add.isPending} reason={denied ?? (dirty || !version ? null : "Nothing has changed.")}>Save as version {prompt.newest_version + 1}</Button></div>
        </div>
      </form>
      <PromptTrial prompt={prompt} draft={draft} />
    </div>
  );
}

type FieldProblem = { field?: string; detail: string } | null;

/** What is wrong with exactly this field. */
export function at(problem: FieldProblem, field: string): string | null {
  return problem?.field === field ? problem.detail : null;
}

function Messages({ messages, problem, onChange }: { messages: PromptMessage[]; problem: FieldProblem; onChange: (messages: PromptMessage[]) => void }) {
  const change = (index: number, changes: Partial<PromptMessage>) => onChange(messages.map((message, place) => (place === index ? { ...message, ...changes } : message)));
  const swap = (index: number) => onChange(messages.map((message, place) => (place === index - 1 ? (messages[index] ?? message) : place === index ? (messages[index - 1] ?? message) : message)));
  return (
    <Section title="Messages" lead="They come before the caller's own. Variables stand in {{ braces }}; if and for are there too.">
      <ol className="flex flex-col gap-5">
        {messages.map((message, index) => (
          <li key={index} className="flex flex-col gap-2 border-l-2 border-rule-strong pl-4">
            <div className="flex flex-wrap items-end justify-between gap-3">
              <SelectField className="w-44" label={`Message ${index + 1}`} value={message.role} onChange={(event) => change(index, { role: event.target.value as PromptRole })} error={at(problem, `messages[${index}].role`)}>
                {Object.entries(ROLES).map(([role, label]) => <option key={role} value={role}>{label}</option>)}
              </SelectField>
              <span className="flex gap-1">
                {index > 0 && <Button small variant="quiet" onClick={() => swap(index)}>Move up<span className="sr-only"> message {index + 1}</span></Button>}
                {messages.length > 1 && <Button small variant="quiet" onClick={() => onChange(messages.filter((_, place) => place !== index))}>Remove<span className="sr-only"> message {index + 1}</span></Button>}
              </span>
            </div>
            <TextAreaField label={`Text of message ${index + 1}`} rows={Math.min(20, Math.max(4, message.content.split("\n").length + 1))} spellCheck={false} value={message.content} onChange={(event) => change(index, { content: event.target.value })} error={at(problem, `messages[${index}].content`)} />
          </li>
        ))}
      </ol>
      {messages.length < 32 && <div className="mt-4"><Button small icon={<Plus aria-hidden className="size-3.5" />} onClick={() => onChange([...messages, { role: "user", content: "" }])}>Add a message</Button></div>}
    </Section>
  );
}

function Parameters({ draft, problem, onChange }: { draft: PromptDraft; problem: FieldProblem; onChange: (changes: Partial<PromptDraft>) => void }) {
  const models = useQuery(modelsQuery);
  const routes = useQuery(routesQuery);
  const names = [...(models.data ?? []).filter((model) => model.kind === "chat").map((model) => model.id), ...(routes.data ?? []).map((route) => route.name)];
  // What it names may be gone meanwhile; it is shown all the same.
  const shown = draft.model === "" || names.includes(draft.model) ? names : [draft.model, ...names];
  return (
    <Section title="Where the caller says nothing" lead="The model and its settings. A caller's own count before these.">
      <div className="grid gap-4 sm:grid-cols-2">
        <SelectField label="Model" value={draft.model} onChange={(event) => onChange({ model: event.target.value })} error={at(problem, "model")}>
          <option value="">the default model</option>
          {shown.map((name) => <option key={name} value={name}>{name}</option>)}
        </SelectField>
        <TextField label="Tokens to write at most" optional type="number" min={1} max={1_000_000} value={draft.max_tokens} onChange={(event) => onChange({ max_tokens: event.target.value })} error={at(problem, "parameters.max_tokens")} />
        <TextField label="Temperature" optional type="number" min={0} max={2} step="any" value={draft.temperature} onChange={(event) => onChange({ temperature: event.target.value })} error={at(problem, "parameters.temperature")} hint="0 to 2." />
        <TextField label="Top p" optional type="number" min={0} max={1} step="any" value={draft.top_p} onChange={(event) => onChange({ top_p: event.target.value })} error={at(problem, "parameters.top_p")} hint="Above 0, at most 1." />
        <TextAreaField className="sm:col-span-2" label="Stop before" optional rows={2} value={draft.stop} onChange={(event) => onChange({ stop: event.target.value })} error={at(problem, "parameters.stop")} hint="One text a line, at most 4." />
      </div>
    </Section>
  );
}
