"use client";

import { asProblem } from "@plasma/client/problem";
import type { Prompt, RenderedPrompt } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import { useState, type SyntheticEvent } from "react";

import { modelsQuery } from "@/data/models/queries";
import { useRenderPrompt, useTryPrompt } from "@/data/prompts/mutations";
import { routesQuery } from "@/data/routes/queries";
import { useDenied } from "@/features/identity/session";
import { Button } from "@/ui/button";
import { Select, SelectField, TextAreaField, TextField } from "@/ui/field";
import { Section } from "@/ui/page-header";
import { ProblemNote } from "@/ui/problem-note";

import { ROLES, valuesOf, versionOf, type PromptDraft, type VariableDraft } from "./prompt-draft";

/** What the text, saved or not, would send with these values, and what a model answers to it. */
export function PromptTrial({ prompt, draft }: { prompt: Prompt; draft: PromptDraft }) {
  const render = useRenderPrompt(prompt.name);
  const [given, setGiven] = useState<Record<string, string>>({});
  const problem = render.error ? asProblem(render.error) : null;
  const isShown = draft.variables.some((variable) => problem?.field === `variables.${variable.name}`);
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    render.mutate({ draft: versionOf(draft), variables: valuesOf(draft.variables, given) });
  };
  return (
    <aside aria-label="Trial" className="min-w-0 lg:sticky lg:top-6 lg:self-start">
      <Section title="Try it" lead="As it stands here, saved or not.">
        <form onSubmit={submit} className="flex flex-col gap-4">
          {draft.variables.filter((variable) => variable.name !== "").map((variable, index) => (
            <Value key={index} variable={variable} value={given[variable.name] ?? ""} error={problem?.field === `variables.${variable.name}` ? problem.detail : null} onChange={(value) => setGiven((now) => ({ ...now, [variable.name]: value }))} />
          ))}
          {problem && !isShown && <ProblemNote error={render.error} />}
          <div><Button type="submit" busy={render.isPending}>Insert the values</Button></div>
        </form>
      </Section>
      {render.data && !render.error && <Rendered rendered={render.data} />}
    </aside>
  );
}

function Value({ variable, value, error, onChange }: { variable: VariableDraft; value: string; error: string | null; onChange: (value: string) => void }) {
  const shared = { label: variable.name, hint: variable.description || undefined, error, optional: !variable.required, value };
  const choices = variable.type === "boolean" ? ["true", "false"] : variable.type === "enum" ? variable.values.split("\n").map((line) => line.trim()).filter((line) => line !== "") : null;
  if (choices) {
    return (
      <SelectField {...shared} onChange={(event) => onChange(event.target.value)}>
        <option value="">{variable.required ? "Choose one" : "not given"}</option>
        {choices.map((choice) => <option key={choice} value={choice}>{choice}</option>)}
      </SelectField>
    );
  }
  if (variable.type === "integer" || variable.type === "number") {
    return <TextField {...shared} type="number" step={variable.type === "integer" ? 1 : "any"} onChange={(event) => onChange(event.target.value)} />;
  }
  return <TextAreaField {...shared} rows={variable.type === "string" ? 2 : 4} spellCheck={variable.type === "string"} onChange={(event) => onChange(event.target.value)} />;
}

function Rendered({ rendered }: { rendered: RenderedPrompt }) {
  const attempt = useTryPrompt();
  const denied = useDenied("models:invoke");
  const models = useQuery(modelsQuery);
  const routes = useQuery(routesQuery);
  const names = [...(models.data ?? []).filter((model) => model.kind === "chat").map((model) => model.id), ...(routes.data ?? []).map((route) => route.name)];
  const [chosen, setChosen] = useState<string | null>(null);
  const [question, setQuestion] = useState("");
  const model = chosen ?? rendered.model ?? names[0] ?? "";
  const messages = question.trim() === "" ? rendered.messages : [...rendered.messages, { role: "user" as const, content: question }];
  const needsQuestion = !messages.some((message) => message.role === "user");
  const answer = attempt.data?.choices[0]?.message?.content;
  return (
    <>
      <ol aria-label="What would be sent" className="mt-8 border-t border-rule-strong">
        {rendered.messages.map((message, index) => (
          <li key={index} className="border-b border-rule py-3">
            <p className="eyebrow">{ROLES[message.role]}</p>
            <p className="figure mt-1 text-[0.875rem] break-words whitespace-pre-wrap">{message.content}</p>
          </li>
        ))}
      </ol>
      <div className="mt-6 flex flex-col gap-4">
        <TextAreaField label="What the caller says" optional={!needsQuestion} rows={2} value={question} onChange={(event) => setQuestion(event.target.value)} />
        <div className="flex items-end gap-3">
          <Select aria-label="Model" className="flex-1" value={model} onChange={(event) => setChosen(event.target.value)}>
            {(names.includes(model) || model === "" ? names : [model, ...names]).map((name) => <option key={name} value={name}>{name}</option>)}
          </Select>
          <Button busy={attempt.isPending} reason={denied ?? (model === "" ? "There is no chat model." : needsQuestion ? "Say something first: a model answers a message of a person." : null)} onClick={() => attempt.mutate({ model, messages, parameters: rendered.parameters })}>Ask the model</Button>
        </div>
        {attempt.error && <ProblemNote error={attempt.error} />}
        {attempt.data && !attempt.error && (
          <section aria-live="polite" aria-label="The answer" className="border-l-2 border-accent pl-4">
            <p className="eyebrow">{attempt.data.model}</p>
            <p className="mt-1 break-words whitespace-pre-wrap">{answer || "The model answered without a text."}</p>
          </section>
        )}
      </div>
    </>
  );
}
