"use client";

import { useQuery } from "@tanstack/react-query";
import Link from "next/link";
import type { ReactNode } from "react";

import { collectionChoicesQuery } from "@/data/collections/queries";
import { modelsQuery } from "@/data/models/queries";
import { SelectField } from "@/ui/field";
import { Message } from "@/ui/message";
import { ProblemNote } from "@/ui/problem-note";

export interface Choice {
  collection: string;
  model: string;
}

/** What can be chosen, with what is chosen while nobody has: the first collection and the default chat model. */
export function useChoices(wanted: { collection: string | null; model: string | null }) {
  const collections = useQuery(collectionChoicesQuery);
  const models = useQuery(modelsQuery);
  const chat = models.data?.filter((model) => model.kind === "chat") ?? [];
  const usable = chat.filter((model) => model.state !== "missing");
  const collection = collections.data?.find((candidate) => candidate.id === wanted.collection) ?? collections.data?.[0];
  const model = usable.find((candidate) => candidate.id === wanted.model) ?? usable.find((candidate) => candidate.default) ?? usable[0];
  return {
    collections: collections.data ?? [],
    models: chat,
    choice: collection && model ? { collection: collection.id, model: model.id } : null,
    collectionId: collection?.id ?? null,
    modelId: model?.id ?? null,
    ready: collections.data !== undefined && models.data !== undefined,
    error: collections.error ?? models.error,
  };
}

type Choices = ReturnType<typeof useChoices>;

export function CollectionAndModel({ choices, onChange }: { choices: Choices; onChange: (change: Partial<Choice>) => void }) {
  return (
    <>
      <SelectField label="Collection" value={choices.collectionId ?? ""} disabled={choices.collections.length === 0} onChange={(event) => onChange({ collection: event.target.value })}>
        {choices.collections.map((collection) => <option key={collection.id} value={collection.id}>{collection.name}</option>)}
      </SelectField>
      <SelectField label="Model" value={choices.modelId ?? ""} disabled={choices.modelId === null} onChange={(event) => onChange({ model: event.target.value })}>
        {choices.models.map((model) => (
          <option key={model.id} value={model.id} disabled={model.state === "missing"}>
            {model.id}{model.state === "missing" ? " (not installed)" : ""}
          </option>
        ))}
      </SelectField>
    </>
  );
}

/** Why nothing can be asked yet, and what to do about it. */
export function ChoiceNotes({ choices }: { choices: Choices }) {
  if (choices.error) return <ProblemNote error={choices.error} className="mt-5" />;
  if (!choices.ready) return null;
  const missing = choices.models.find((model) => model.state === "missing" && model.remedy);
  return (
    <>
      {choices.collections.length === 0 && (
        <Note>There is no collection to draw from yet. <Link href="/knowledge/" className="link">Create one and add documents</Link> first.</Note>
      )}
      {choices.modelId === null && (
        <Note>
          No chat model can be used. {missing?.remedy && <Message text={missing.remedy} />} <Link href="/models/" className="link">See the models</Link>, or connect a server that speaks OpenAI’s format.
        </Note>
      )}
    </>
  );
}

function Note({ children }: { children: ReactNode }) {
  return <p role="status" className="mt-5 rounded-[5px] bg-warn-soft px-4 py-3">{children}</p>;
}
