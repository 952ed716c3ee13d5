"use client";

import { asProblem } from "@plasma/client/problem";
import { useState, type SyntheticEvent } from "react";

import { useBeginPull } from "@/data/pulls/mutations";
import { Button } from "@/ui/button";
import { Dialog, DialogActions } from "@/ui/dialog";
import { TextAreaField, TextField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";

import { pathsOf } from "./pull-labels";

const GIGABYTE = 1_000_000_000;
const GIGABYTES_DEFAULT = 50;

export function PullDialog({ open, onOpenChange }: { open: boolean; onOpenChange: (open: boolean) => void }) {
  return (
    <Dialog open={open} onOpenChange={onOpenChange} title="Fetch from Hugging Face" description="Weights come onto the server's machine, for all workspaces. Whether you may use them is for you to decide: their license is shown when it is known." wide>
      <PullForm onClose={() => onOpenChange(false)} />
    </Dialog>
  );
}

function PullForm({ onClose }: { onClose: () => void }) {
  const begin = useBeginPull();
  const [repository, setRepository] = useState("");
  const [files, setFiles] = useState("");
  const [revision, setRevision] = useState("");
  const [gigabytes, setGigabytes] = useState(String(GIGABYTES_DEFAULT));
  const problem = begin.error ? asProblem(begin.error) : null;
  const fieldError = (field: string) => (problem?.field === field ? [problem.detail, problem.remedy].filter(Boolean).join(" ") : null);

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    begin.mutate(
      {
        repository: repository.trim(),
        files: pathsOf(files),
        max_bytes: Math.round(Number(gigabytes) * GIGABYTE),
        ...(revision.trim() && { revision: revision.trim() }),
      },
      { onSuccess: onClose },
    );
  };

  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      {problem && !problem.field ? <ProblemNote error={begin.error} /> : null}
      <TextField label="Repository" required className="figure" maxLength={200} pattern="[A-Za-z0-9_][A-Za-z0-9._\-]*/[A-Za-z0-9_][A-Za-z0-9._\-]*" placeholder="Qwen/Qwen2.5-0.5B-Instruct-GGUF" value={repository} onChange={(event) => setRepository(event.target.value)} error={fieldError("repository")} hint="Organization and name, as on its page." />
      <TextAreaField label="Files" optional rows={2} value={files} onChange={(event) => setFiles(event.target.value)} error={fieldError("files")} hint="Paths in the repository, one a line. Without any its only GGUF file, or the files of an embedding model." />
      <div className="grid gap-4 sm:grid-cols-2">
        <TextField label="Revision" optional maxLength={100} pattern="[A-Za-z0-9_\-][A-Za-z0-9._\-]*" value={revision} onChange={(event) => setRevision(event.target.value)} error={fieldError("revision")} hint="A branch, a tag or a commit; main when empty." />
        <TextField label="Largest size" type="number" min={0.001} max={10_000} step="any" required value={gigabytes} onChange={(event) => setGigabytes(event.target.value)} error={fieldError("max_bytes")} hint="Gigabytes of all files together. More is not fetched." />
      </div>
      <DialogActions>
        <Button type="submit" variant="primary" busy={begin.isPending}>Fetch</Button>
        <Button variant="quiet" onClick={onClose}>Cancel</Button>
      </DialogActions>
    </form>
  );
}
