"use client";

import { asProblem } from "@plasma/client/problem";
import type { Prompt } from "@plasma/client/types";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import Link from "next/link";
import { useRouter } from "next/navigation";
import { useState, type SyntheticEvent } from "react";

import { useAddPrompt } from "@/data/prompts/mutations";
import { promptsQuery } from "@/data/prompts/queries";
import { useDenied } from "@/features/identity/session";
import { plural } from "@/lib/format";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { Dialog, DialogActions } from "@/ui/dialog";
import { TextAreaField, TextField } from "@/ui/field";
import { LoadMore } from "@/ui/load-more";
import { PageHeader } from "@/ui/page-header";
import { ProblemNote } from "@/ui/problem-note";
import { EmptyState, QueryView } from "@/ui/query-view";
import { Time } from "@/ui/time";

import { ModelTabs } from "./model-tabs";
import { promptHref, splitText } from "./prompt-text";

export function PromptsPage() {
  const prompts = useInfiniteQuery(promptsQuery);
  const denied = useDenied("models:write");
  const [adding, setAdding] = useState(false);
  const add = (
    <Button variant="primary" icon={<Plus aria-hidden className="size-4" />} reason={denied} onClick={() => setAdding(true)}>Add a prompt</Button>
  );
  return (
    <>
      <PageHeader title="Prompts" lead="Messages with variables under a name. Programs name the prompt; what it says changes here, version by version." actions={add} />
      <ModelTabs current="/models/prompts/" />
      <QueryView query={prompts} isEmpty={(data) => data.length === 0} empty={<EmptyState title="No prompt yet" action={add}>A prompt keeps instructions out of programs: with versions, a difference between any two, and trials of one against another.</EmptyState>}>
        {(data) => (
          <>
            <ul className="border-t border-rule-strong">{data.map((prompt) => <PromptRow key={prompt.id} prompt={prompt} />)}</ul>
            <LoadMore query={prompts} />
          </>
        )}
      </QueryView>
      <Dialog open={adding} onOpenChange={setAdding} title="Add a prompt">
        <AddForm onClose={() => setAdding(false)} />
      </Dialog>
    </>
  );
}

function PromptRow({ prompt }: { prompt: Prompt }) {
  return (
    <li data-prompt={prompt.name} className="flex flex-wrap items-baseline justify-between gap-x-6 gap-y-2 border-b border-rule py-4">
      <div className="min-w-0">
        <p className="flex flex-wrap items-baseline gap-x-3 gap-y-1">
          <Link href={promptHref(prompt.name)} className="link figure text-[1.0625rem] break-all">{prompt.name}</Link>
          {prompt.aliases.map((alias) => <Badge key={alias.name} tone={alias.name === "production" ? "good" : "plain"}>{alias.name}: {splitText(alias.split)}</Badge>)}
        </p>
        {prompt.description && <p className="mt-1 max-w-[64ch] text-[0.875rem] break-words text-soft">{prompt.description}</p>}
      </div>
      <p className="text-[0.875rem] text-faint">{prompt.newest_version === 0 ? "no version yet" : plural(prompt.newest_version, "version")}, <Time at={prompt.updated_at} /></p>
    </li>
  );
}

function AddForm({ onClose }: { onClose: () => void }) {
  const router = useRouter();
  const add = useAddPrompt();
  const [name, setName] = useState("");
  const [description, setDescription] = useState("");
  const problem = add.error ? asProblem(add.error) : null;
  const fieldError = (field: string) => (problem?.field === field ? problem.detail : null);
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    add.mutate({ name: name.trim(), description: description.trim() }, { onSuccess: (prompt) => {
      onClose();
      router.push(promptHref(prompt.name));
    } });
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      {problem && !problem.field ? <ProblemNote error={add.error} /> : null}
      <TextField label="Name" required pattern="[a-z0-9._\-]+" maxLength={63} value={name} onChange={(event) => setName(event.target.value)} error={fieldError("name")} hint="Programs name it. Small letters, digits, dots and hyphens." />
      <TextAreaField label="What it is for" optional rows={2} maxLength={500} value={description} onChange={(event) => setDescription(event.target.value)} error={fieldError("description")} />
      <DialogActions>
        <Button type="submit" variant="primary" busy={add.isPending}>Add prompt</Button>
        <Button variant="quiet" onClick={onClose}>Cancel</Button>
      </DialogActions>
    </form>
  );
}
