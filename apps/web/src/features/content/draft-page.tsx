"use client";

import { useQueryClient } from "@tanstack/react-query";
import { useRouter } from "next/navigation";
import { useEffect, useRef, useState, type SyntheticEvent } from "react";

import { streamDraft } from "@/data/answers/stream";
import { contentKeys } from "@/data/content/keys";
import { AnswerProgress } from "@/features/ask/answer-progress";
import { AnswerText, SourceList } from "@/features/ask/answer-view";
import { ChoiceNotes, CollectionAndModel, useChoices } from "@/features/ask/collection-and-model";
import { SourcePanel, type OpenSource } from "@/features/ask/source-panel";
import { useAnswerStream } from "@/features/ask/use-answer-stream";
import { useDenied } from "@/features/identity/session";
import { useParam } from "@/lib/use-param";
import { Button } from "@/ui/button";
import { TextAreaField, TextField } from "@/ui/field";
import { PageHeader } from "@/ui/page-header";
import { ProblemNote } from "@/ui/problem-note";

import { contentHref } from "./content-href";

export function DraftPage() {
  const router = useRouter();
  const queryClient = useQueryClient();
  const denied = useDenied("models:invoke");
  const [chosen, setChosen] = useState<{ collection: string | null; model: string | null }>({ collection: useParam("collection"), model: null });
  const choices = useChoices(chosen);
  const [brief, setBrief] = useState("");
  const [title, setTitle] = useState("");
  const [source, setSource] = useState<OpenSource | null>(null);
  const { state, start, stop } = useAnswerStream();
  const form = useRef<HTMLFormElement>(null);
  const running = state.phase === "running";

  // The document is stored by the server before "done"; the editor takes over from there.
  useEffect(() => {
    if (state.phase !== "done" || !state.document) return;
    queryClient.setQueryData(contentKeys.detail(state.document.id), state.document);
    void queryClient.invalidateQueries({ queryKey: contentKeys.list });
    router.replace(contentHref(state.document.id));
  }, [state.phase, state.document, queryClient, router]);

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    const text = brief.trim();
    if (!choices.choice || text === "" || running || denied) return;
    const request = { ...choices.choice, brief: text, ...(title.trim() && { title: title.trim() }) };
    void start((signal) => streamDraft(request, signal));
  };

  return (
    <>
      <PageHeader back={{ href: "/content/", label: "Content" }} title="New draft" lead="Say what is to be written, for whom, and how long. The draft opens in the editor as soon as it is done." />
      <form ref={form} onSubmit={submit} className="border border-rule bg-raised p-5 sm:p-6">
        <TextAreaField
          label="Brief"
          required
          rows={5}
          maxLength={8000}
          placeholder="A short announcement of the new plan for existing customers. What changes, from when, and what they have to do."
          value={brief}
          onChange={(event) => setBrief(event.target.value)}
        />
        <div className="mt-4 grid items-end gap-4 @xl:grid-cols-2 @4xl:grid-cols-[minmax(0,1fr)_minmax(0,1fr)_minmax(0,1.2fr)_auto]">
          <TextField label="Title" optional maxLength={300} value={title} onChange={(event) => setTitle(event.target.value)} />
          <CollectionAndModel choices={choices} onChange={(change) => setChosen((current) => ({ ...current, ...change }))} />
          {running ? <Button key="stop" onClick={stop}>Stop</Button> : <Button key="write" type="submit" variant="primary" reason={denied} disabled={!choices.choice}>Write draft</Button>}
        </div>
        <ChoiceNotes choices={choices} />
      </form>
      {state.phase !== "idle" && (
        <div className="mt-10 grid gap-x-14 gap-y-10 @4xl:grid-cols-[minmax(0,1fr)_18rem]">
          <article aria-label="Draft" className="min-w-0">
            {running && state.progress?.stage !== "writing" && <AnswerProgress progress={state.progress} startedAtMs={state.startedAtMs} />}
            <AnswerText state={state} onOpen={setSource} />
            {state.phase === "failed" && <ProblemNote error={state.error} className="mt-5" action={<Button small onClick={() => form.current?.requestSubmit()}>Try again</Button>} />}
            {state.phase === "stopped" && <p role="status" className="mt-5 text-soft">Stopped. Nothing was stored.</p>}
            {state.phase === "done" && (
              <p role="status" className="mt-5 text-soft">{state.document ? "Stored. Opening the editor." : "Nothing was stored: the collection has nothing on this."}</p>
            )}
          </article>
          <SourceList state={state} onOpen={setSource} />
        </div>
      )}
      <SourcePanel source={source} onClose={() => setSource(null)} />
    </>
  );
}
