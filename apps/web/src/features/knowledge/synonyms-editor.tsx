"use client";

import type { CollectionSynonyms } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import { useState, type SyntheticEvent } from "react";

import { useSaveSynonyms } from "@/data/synonyms/mutations";
import { synonymsQuery } from "@/data/synonyms/queries";
import { Button } from "@/ui/button";
import { TextAreaField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";
import { QueryView, SkeletonRows } from "@/ui/query-view";
import { useToast } from "@/ui/toast";

import { parseSynonyms, synonymLines } from "./synonym-lines";

export function SynonymsEditor({ collection, denied }: { collection: string; denied: string | null }) {
  const synonyms = useQuery(synonymsQuery(collection));
  return (
    <QueryView query={synonyms} loading={<SkeletonRows />}>
      {(data) => <SynonymsForm key={data.updated_at} collection={collection} synonyms={data} denied={denied} />}
    </QueryView>
  );
}

function SynonymsForm({ collection, synonyms, denied }: { collection: string; synonyms: CollectionSynonyms; denied: string | null }) {
  const save = useSaveSynonyms(collection);
  const toast = useToast();
  const kept = synonymLines(synonyms);
  const [text, setText] = useState(kept);
  const { error, ...parsed } = parseSynonyms(text);

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    if (error) return;
    save.mutate(parsed, { onSuccess: () => toast("The next search uses these synonyms.") });
  };

  return (
    <form onSubmit={submit} className="flex max-w-3xl flex-col gap-4">
      {save.error ? <ProblemNote error={save.error} /> : null}
      <TextAreaField
        label="Synonyms"
        rows={12}
        spellCheck={false}
        placeholder={"tv, television\nusa, united states\ncar => vehicle"}
        hint="A line for each set: words and phrases with commas between them find each other. With an arrow, the first one also finds the others, and not the other way around."
        value={text}
        onChange={(event) => setText(event.target.value)}
        error={error}
      />
      <div>
        <Button type="submit" variant="primary" busy={save.isPending} reason={denied} disabled={text === kept || error !== null}>Save synonyms</Button>
      </div>
    </form>
  );
}
