"use client";

import { useRouter } from "next/navigation";
import { useRef, useState, type KeyboardEvent, type SyntheticEvent } from "react";

import { streamAnswer } from "@/data/answers/stream";
import { useCreateContent } from "@/data/content/mutations";
import { useDenied } from "@/features/identity/session";
import { useParam, useSetParams } from "@/lib/use-param";
import { Button } from "@/ui/button";
import { SelectField, TextAreaField } from "@/ui/field";
import { PageHeader } from "@/ui/page-header";
import { ProblemNote } from "@/ui/problem-note";

import { AnswerFacts, AnswerText, SourceList } from "./answer-view";
import { AnswerProgress } from "./answer-progress";
import { ChoiceNotes, CollectionAndModel, useChoices } from "./collection-and-model";
import { answerAsDocument } from "./keep-as-document";
import { SourcePanel, type OpenSource } from "./source-panel";
import { useAnswerStream } from "./use-answer-stream";

export function AskPage() {
  const router = useRouter();
  const setParams = useSetParams();
  const denied = useDenied("models:invoke");
  const deniedWrite = useDenied("content:write");
  const [model, setModel] = useState<string | null>(null);
  const choices = useChoices({ collection: useParam("collection"), model });
  const [question, setQuestion] = useState(useParam("q") ?? "");
  const [asked, setAsked] = useState("");
  const [limit, setLimit] = useState(3);
  const [source, setSource] = useState<OpenSource | null>(null);
  const { state, start, stop } = useAnswerStream();
  const keep = useCreateContent();
  const form = useRef<HTMLFormElement>(null);
  const running = state.phase === "running";

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    const text = question.trim();
    if (!choices.choice || text === "" || running || denied) return;
    const request = { ...choices.choice, question: text, limit };
    setSource(null);
    setAsked(text);
    keep.reset();
    void start((signal) => streamAnswer(request, signal));
  };

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.current?.requestSubmit();
  };

  const keepAnswer = () =>
    keep.mutate(answerAsDocument(asked, state.text, state.passages, state.citations), {
      onSuccess: (document) => router.push(`/content/document/?id=${encodeURIComponent(document.id)}`),
    });

  return (
    <>
      <PageHeader title="Ask" lead="The answer is written from your documents only, and shows which passage stands behind each statement." />
      <form ref={form} onSubmit={submit} className="border border-rule bg-raised p-5 sm:p-6">
        <TextAreaField
          label="Question"
          rows={2}
          required
          maxLength={2000}
          data-hotkey-search
          value={question}
          onChange={(event) => setQuestion(event.target.value)}
          onKeyDown={onKeyDown}
        />
        <div className="mt-4 grid items-end gap-4 @xl:grid-cols-2 @4xl:grid-cols-[minmax(0,1fr)_minmax(0,1.3fr)_7rem_auto]">
          <CollectionAndModel
            choices={choices}
            onChange={(change) => {
              if (change.model) setModel(change.model);
              if (change.collection) setParams({ collection: change.collection });
            }}
          />
          <SelectField label="Passages" value={limit} onChange={(event) => setLimit(Number(event.target.value))}>
            {[1, 2, 3, 4, 5, 6, 7, 8].map((count) => <option key={count} value={count}>{count}</option>)}
          </SelectField>
          {/* Two buttons, not one that changes: the click on "Stop" would submit the form that the same element then belongs to. */}
          {running ? (
            <Button key="stop" onClick={stop}>Stop</Button>
          ) : (
            <Button key="ask" type="submit" variant="primary" reason={denied} disabled={!choices.choice}>Ask</Button>
          )}
        </div>
        <ChoiceNotes choices={choices} />
      </form>

      {state.phase !== "idle" && (
        <div className="mt-10 grid gap-x-14 gap-y-10 @4xl:grid-cols-[minmax(0,1fr)_18rem]">
          <article aria-labelledby="asked" className="min-w-0">
            <h2 id="asked" className="mb-5 font-serif text-[1.625rem] leading-snug font-medium tracking-tight text-balance">{asked}</h2>
            {running && state.progress?.stage !== "writing" && <AnswerProgress progress={state.progress} startedAtMs={state.startedAtMs} />}
            <AnswerText state={state} onOpen={setSource} />
            {state.phase === "failed" && <ProblemNote error={state.error} className="mt-5" action={<Button small onClick={() => form.current?.requestSubmit()}>Ask again</Button>} />}
            {state.phase === "stopped" && <p role="status" className="mt-5 text-soft">Stopped. What was written so far stays here.</p>}
            <AnswerFacts state={state} />
            {(state.phase === "done" || state.phase === "stopped") && state.text !== "" && state.done?.finish_reason !== "no_match" && (
              <div className="mt-5">
                <Button busy={keep.isPending} reason={deniedWrite} onClick={keepAnswer}>Keep as document</Button>
                {keep.error ? <ProblemNote error={keep.error} className="mt-3" /> : null}
              </div>
            )}
          </article>
          <SourceList state={state} onOpen={setSource} />
        </div>
      )}
      <SourcePanel source={source} onClose={() => setSource(null)} />
    </>
  );
}
