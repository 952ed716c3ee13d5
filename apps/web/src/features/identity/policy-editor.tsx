"use client";

import { asProblem } from "@plasma/client/problem";
import type { AccessPolicy } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import { useRouter } from "next/navigation";
import { useRef, useState, type SyntheticEvent } from "react";

import { useCreatePolicy, useUpdatePolicy } from "@/data/policies/mutations";
import { policyTestQuery } from "@/data/policies/queries";
import { useDebounced } from "@/lib/use-debounced";
import { Button } from "@/ui/button";
import { CheckField, SelectField, TextAreaField, TextField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";
import { useToast } from "@/ui/toast";

import { CodeField } from "./policy-code-field";
import { PolicyTestPanel } from "./policy-test-panel";
import { EXAMPLES, rangeOf } from "./policy-text";
import { useDenied } from "./session";

/** The text must stand still for so long before the server looks at it. */
const LOOK_AFTER_MS = 600;
const FIELDS = ["name", "description", "text"];

/** A policy's text with its mistakes at their places, and beside it what it would change. `start` takes the place of its own text. */
export function PolicyEditor({ policy, start }: { policy: AccessPolicy | null; start?: string | undefined }) {
  const router = useRouter();
  const notify = useToast();
  const denied = useDenied("policies:write");
  const create = useCreatePolicy();
  const update = useUpdatePolicy();
  const [name, setName] = useState(policy?.name ?? "");
  const [description, setDescription] = useState(policy?.description ?? "");
  const [text, setText] = useState(start ?? policy?.text ?? "");
  const [enabled, setEnabled] = useState(policy?.enabled ?? true);
  const area = useRef<HTMLTextAreaElement>(null);
  const settled = useDebounced(text, LOOK_AFTER_MS);
  const test = useQuery({ ...policyTestQuery(policy?.id ?? null, settled, enabled), enabled: denied === null && settled.trim() !== "" });
  const fresh = settled === text && !test.isPlaceholderData ? test.data : undefined;
  const error = create.error ?? update.error;
  const problem = error ? asProblem(error) : null;
  const fieldError = (field: string) => (problem?.field === field ? problem.detail : null);
  const unchanged = policy !== null && name.trim() === policy.name && description.trim() === policy.description && text === policy.text && enabled === policy.enabled;

  const show = (place: { start: { line: number; column: number }; end: { line: number; column: number } }) => {
    const field = area.current;
    if (!field) return;
    field.focus();
    field.setSelectionRange(...rangeOf(text, place));
  };

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    const body = { name: name.trim(), description: description.trim(), text, enabled };
    if (policy) update.mutate({ id: policy.id, expected_version: policy.version, ...body }, { onSuccess: (saved) => notify(`Saved as version ${saved.version}`) });
    else create.mutate(body, { onSuccess: (made) => router.replace(`/settings/policies/?id=${encodeURIComponent(made.id)}`) });
  };

  return (
    <div className="grid gap-x-12 gap-y-10 xl:grid-cols-[minmax(0,1fr)_26rem]">
      <form onSubmit={submit} className="flex min-w-0 flex-col gap-4">
        {problem && !FIELDS.includes(problem.field ?? "") ? <ProblemNote error={error} /> : null}
        <TextField label="Name" required maxLength={200} autoComplete="off" placeholder="Office hours" readOnly={denied !== null} value={name} onChange={(event) => setName(event.target.value)} error={fieldError("name")} />
        <TextAreaField label="Description" optional rows={2} maxLength={1000} readOnly={denied !== null} value={description} onChange={(event) => setDescription(event.target.value)} error={fieldError("description")} />
        {policy === null && text === "" && (
          <SelectField label="Begin with" value="" onChange={(event) => setText(EXAMPLES[Number(event.target.value)]?.text ?? "")}>
            <option value="" disabled>an empty page, or an example</option>
            {EXAMPLES.map((example, index) => <option key={example.label} value={index}>{example.label}</option>)}
          </SelectField>
        )}
        <CodeField ref={area} label="Statements" value={text} readOnly={denied !== null} onChange={setText} problems={fresh?.problems ?? []} error={fieldError("text")} onShow={show} />
        <CheckField label="In force" hint="Without, it is kept and does nothing." disabled={denied !== null} checked={enabled} onChange={(event) => setEnabled(event.target.checked)} />
        <div><Button type="submit" variant="primary" busy={create.isPending || update.isPending} reason={denied ?? (unchanged ? "Nothing has changed." : text.trim() === "" ? "Write a statement first." : null)}>{policy ? `Save as version ${policy.version + 1}` : "Create policy"}</Button></div>
      </form>
      {denied === null && <PolicyTestPanel query={test} waiting={fresh === undefined} empty={text.trim() === ""} />}
    </div>
  );
}
