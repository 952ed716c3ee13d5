"use client";

import { asProblem } from "@plasma/client/problem";
import type { Collection } from "@plasma/client/types";
import { useState, type SyntheticEvent } from "react";

import { useSaveCollection } from "@/data/collections/mutations";
import { Button } from "@/ui/button";
import { Dialog, DialogActions } from "@/ui/dialog";
import { SelectField, TextAreaField, TextField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";

import { CollectionFields, fieldRows, fieldsOf } from "./collection-fields";

/** Languages whose words are found in all inflections. */
const LANGUAGES: [code: string, name: string][] = [
  ["ar", "Arabic"], ["da", "Danish"], ["nl", "Dutch"], ["en", "English"], ["fi", "Finnish"], ["fr", "French"],
  ["de", "German"], ["el", "Greek"], ["hu", "Hungarian"], ["it", "Italian"], ["no", "Norwegian"], ["pt", "Portuguese"],
  ["ro", "Romanian"], ["ru", "Russian"], ["es", "Spanish"], ["sv", "Swedish"], ["ta", "Tamil"], ["tr", "Turkish"],
];

interface Props {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  /** Null: a new one. */
  collection: Collection | null;
  onSaved?: (collection: Collection) => void;
}

export function CollectionFormDialog(props: Props) {
  return (
    <Dialog
      open={props.open}
      onOpenChange={props.onOpenChange}
      title={props.collection ? "Edit collection" : "New collection"}
      description={props.collection ? undefined : "A shelf for documents that are searched together."}
    >
      <CollectionForm {...props} />
    </Dialog>
  );
}

function CollectionForm({ collection, onOpenChange, onSaved }: Props) {
  const save = useSaveCollection();
  const [name, setName] = useState(collection?.name ?? "");
  const [description, setDescription] = useState(collection?.description ?? "");
  const [fields, setFields] = useState(() => fieldRows(collection?.fields ?? {}));
  const before = collection?.language ?? "en";
  const [language, setLanguage] = useState(before);
  const known = LANGUAGES.some(([code]) => code === before);
  const field = save.error ? asProblem(save.error).field : null;

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    save.mutate(
      { id: collection?.id ?? null, name: name.trim(), description: description.trim(), fields: fieldsOf(fields), ...(language !== before && { language }) },
      {
        onSuccess: (saved) => {
          onOpenChange(false);
          onSaved?.(saved);
        },
      },
    );
  };

  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      {save.error && field !== "name" && field !== "description" && field !== "fields" ? <ProblemNote error={save.error} /> : null}
      <TextField
        label="Name"
        required
        maxLength={200}
        value={name}
        onChange={(event) => setName(event.target.value)}
        error={field === "name" ? save.error?.message : null}
      />
      <TextAreaField
        label="Description"
        optional
        rows={3}
        maxLength={2000}
        value={description}
        onChange={(event) => setDescription(event.target.value)}
        error={field === "description" ? save.error?.message : null}
      />
      <SelectField
        label="Language of short texts"
        hint="Longer documents tell their language themselves. It holds for documents that are read from now on."
        value={language}
        onChange={(event) => setLanguage(event.target.value)}
      >
        {!known && <option value={before}>{before}</option>}
        {LANGUAGES.map(([code, name]) => <option key={code} value={code}>{name}</option>)}
      </SelectField>
      <CollectionFields rows={fields} onChange={setFields} error={field === "fields" ? (save.error?.message ?? null) : null} />
      <DialogActions>
        <Button type="submit" variant="primary" busy={save.isPending}>{collection ? "Save changes" : "Create collection"}</Button>
        <Button variant="quiet" onClick={() => onOpenChange(false)}>Cancel</Button>
      </DialogActions>
    </form>
  );
}
