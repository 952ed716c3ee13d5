"use client";

import type { Batch } from "@plasma/client/types";
import { useEffect, useRef, useState, type SyntheticEvent } from "react";

import { useAddBatch } from "@/data/batches/mutations";
import { formatBytes } from "@/lib/format";
import { Button } from "@/ui/button";
import { Dialog, DialogActions } from "@/ui/dialog";
import { SelectField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";
import { ProgressBar } from "@/ui/progress-bar";

export const BATCH_ENDPOINTS: Record<Batch["endpoint"], string> = {
  "/v1/chat/completions": "Chat completions",
  "/v1/responses": "Responses",
  "/v1/embeddings": "Embeddings",
};

const EXAMPLE = (endpoint: string) =>
  `{"custom_id": "first", "method": "POST", "url": "${endpoint}", "body": {…}}`;

export function BatchDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <Dialog open={open} onOpenChange={(next) => !next && onClose()} title="New batch">
      {open && <BatchForm onClose={onClose} />}
    </Dialog>
  );
}

function BatchForm({ onClose }: { onClose: () => void }) {
  const add = useAddBatch();
  const input = useRef<HTMLInputElement>(null);
  const abort = useRef<AbortController | null>(null);
  const [file, setFile] = useState<File | null>(null);
  const [endpoint, setEndpoint] = useState<Batch["endpoint"]>("/v1/chat/completions");
  const [sent, setSent] = useState(0);

  // Closing the dialog gives the upload up.
  useEffect(() => () => abort.current?.abort(), []);

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    if (file === null || add.isPending) return;
    abort.current = new AbortController();
    setSent(0);
    add.mutate({ file, endpoint, onProgress: setSent, signal: abort.current.signal }, { onSuccess: onClose });
  };

  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      {add.error ? <ProblemNote error={add.error} /> : null}
      <SelectField label="Endpoint" value={endpoint} onChange={(event) => setEndpoint(event.target.value as Batch["endpoint"])} hint="Every line asks for the same.">
        {Object.entries(BATCH_ENDPOINTS).map(([value, label]) => <option key={value} value={value}>{label}</option>)}
      </SelectField>
      <div>
        <p className="font-medium">Lines</p>
        <p className="mt-1 text-[0.875rem] text-soft">A JSONL file of at most 50,000 lines and 200 MB, each line like</p>
        <p className="figure mt-1 text-xs break-all text-soft">{EXAMPLE(endpoint)}</p>
        <div className="mt-3 flex flex-wrap items-center gap-3">
          <Button small disabled={add.isPending} onClick={() => input.current?.click()}>{file ? "Choose another file" : "Choose a file"}</Button>
          {file && <span className="min-w-0 truncate text-[0.875rem]">{file.name}, {formatBytes(file.size)}</span>}
        </div>
        <input
          ref={input}
          type="file"
          accept=".jsonl,.ndjson,application/jsonl,application/x-ndjson"
          aria-label="The batch's file"
          className="sr-only"
          tabIndex={-1}
          onChange={(event) => {
            setFile(event.target.files?.[0] ?? null);
            event.target.value = "";
          }}
        />
      </div>
      {add.isPending && file && <ProgressBar label={`Sending ${file.name}`} done={sent} total={file.size || null} />}
      <DialogActions>
        <Button type="submit" variant="primary" busy={add.isPending} reason={file ? null : "Choose a file first."}>Start the batch</Button>
        <Button variant="quiet" onClick={onClose}>Cancel</Button>
      </DialogActions>
    </form>
  );
}
