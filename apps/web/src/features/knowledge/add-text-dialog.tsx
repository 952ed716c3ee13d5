"use client";

import { asProblem } from "@plasma/client/problem";
import { useState, type SyntheticEvent } from "react";

import { useAddText } from "@/data/documents/mutations";
import { Button } from "@/ui/button";
import { Dialog, DialogActions } from "@/ui/dialog";
import { TextAreaField, TextField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";
import { Segmented } from "@/ui/segmented";

import { parseMetadata } from "./metadata";

type Format = "markdown" | "text" | "html";

const FORMATS: { value: Format; label: string }[] = [
  { value: "markdown", label: "Markdown" },
  { value: "text", label: "Plain text" },
  { value: "html", label: "HTML" },
];

interface Props {
  collection: string;
  open: boolean;
  onOpenChange: (open: boolean) => void;
}

export function AddTextDialog(props: Props) {
  return (
    <Dialog open={props.open} onOpenChange={props.onOpenChange} title="Add text" description="For what you have on the clipboard rather than in a file." wide>
      <AddTextForm {...props} />
    </Dialog>
  );
}

function AddTextForm({ collection, onOpenChange }: Props) {
  const add = useAddText(collection);
  const [title, setTitle] = useState("");
  const [format, setFormat] = useState<Format>("markdown");
  const [text, setText] = useState("");
  const [metadata, setMetadata] = useState("");
  const parsed = parseMetadata(metadata);
  const problem = add.error ? asProblem(add.error) : null;

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    if (parsed.error) return;
    add.mutate(
      { title: title.trim(), [format]: text, metadata: Object.keys(parsed.metadata).length > 0 ? parsed.metadata : undefined },
      { onSuccess: () => onOpenChange(false) },
    );
  };

  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      {problem && problem.field !== "title" ? <ProblemNote error={add.error} /> : null}
      <TextField label="Title" required maxLength={500} value={title} onChange={(event) => setTitle(event.target.value)} error={problem?.field === "title" ? problem.detail : null} />
      <div><Segmented small label="Format" value={format} options={FORMATS} onChange={setFormat} /></div>
      <TextAreaField label="Text" required rows={10} value={text} onChange={(event) => setText(event.target.value)} />
      <TextAreaField
        label="Metadata"
        optional
        rows={2}
        placeholder={"team: growth\nyear: 2026"}
        hint={'One field on a line, as name: value. Numbers, true/false, lists as [a, b], {"time": "2026-01-02T03:04:05Z"} and {"lat": 48.1, "lon": 11.6} are kept as such; searches can filter by them.'}
        value={metadata}
        onChange={(event) => setMetadata(event.target.value)}
        error={parsed.error}
      />
      <DialogActions>
        <Button type="submit" variant="primary" busy={add.isPending} disabled={parsed.error !== null}>Add document</Button>
        <Button variant="quiet" onClick={() => onOpenChange(false)}>Cancel</Button>
      </DialogActions>
    </form>
  );
}
