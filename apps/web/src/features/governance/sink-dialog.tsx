"use client";

import { asProblem } from "@plasma/client/problem";
import type { AuditSink } from "@plasma/client/types";
import { useState, type SyntheticEvent } from "react";

import type { AuditLogName } from "@/data/audit/keys";
import { useSaveSink } from "@/data/audit/mutations";
import { useCan } from "@/features/identity/session";
import { Button } from "@/ui/button";
import { Dialog, DialogActions } from "@/ui/dialog";
import { CheckField, SelectField, TextAreaField, TextField } from "@/ui/field";
import { ProblemNote } from "@/ui/problem-note";

import { draftOf, NEW_SINK, SINK_KINDS, targetOf, type SinkDraft, type SinkKind } from "./sink-draft";

export function SinkDialog({ sink, log, onClose }: { sink: AuditSink | "new" | null; log: AuditLogName | undefined; onClose: () => void }) {
  return (
    <Dialog open={sink !== null} onOpenChange={(open) => !open && onClose()} title={sink === "new" ? "Add an anchor or an export" : "Edit it"}>
      {sink && <SinkForm sink={sink === "new" ? null : sink} log={log} onClose={onClose} />}
    </Dialog>
  );
}

interface FieldsProps {
  draft: SinkDraft;
  set: (changes: Partial<SinkDraft>) => void;
  error: (field: string) => string | null;
}

function SinkForm({ sink, log, onClose }: { sink: AuditSink | null; log: AuditLogName | undefined; onClose: () => void }) {
  const save = useSaveSink(log);
  const isOperator = useCan("installation:manage");
  const [draft, setDraft] = useState<SinkDraft>(sink ? draftOf(sink) : NEW_SINK);
  const set = (changes: Partial<SinkDraft>) => setDraft({ ...draft, ...changes });
  const about = SINK_KINDS[draft.kind];
  const problem = save.error ? asProblem(save.error) : null;
  const known = ["name", "secret", "target.url", "target.endpoint", "target.host", "target.port", "target.ca_pem", "target.retain_days", "target.bucket.endpoint", "target.bucket.region", "target.bucket.name", "target.bucket.prefix", "target.bucket.access_key_id"];
  const error = (field: string) => (problem?.field === field ? problem.detail : null);
  const kinds = (Object.keys(SINK_KINDS) as SinkKind[]).filter((kind) => kind !== "anchor_file" || isOperator || sink?.target.kind === kind);

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    const body = { name: draft.name.trim(), target: targetOf(draft), ...(draft.secret !== "" && { secret: draft.secret }) };
    const fromStart = about.sends === "records" && draft.fromStart && { from_leaf: 0 };
    save.mutate(sink ? { id: sink.id, body } : { id: null, body: { ...body, ...fromStart } }, { onSuccess: onClose });
  };

  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      {problem && !known.includes(problem.field ?? "") ? <ProblemNote error={save.error} /> : null}
      <TextField label="Name" required maxLength={100} value={draft.name} onChange={(event) => set({ name: event.target.value })} error={error("name")} />
      <SelectField label="Kind" disabled={sink !== null} value={draft.kind} onChange={(event) => set({ kind: event.target.value as SinkKind, secret: "" })} hint={about.explanation}>
        <optgroup label="Anchors for checkpoints">{kinds.filter((kind) => SINK_KINDS[kind].sends === "checkpoints").map((kind) => <option key={kind} value={kind}>{SINK_KINDS[kind].label}</option>)}</optgroup>
        <optgroup label="Exports of records">{kinds.filter((kind) => SINK_KINDS[kind].sends === "records").map((kind) => <option key={kind} value={kind}>{SINK_KINDS[kind].label}</option>)}</optgroup>
      </SelectField>
      <TargetFields draft={draft} set={set} error={error} />
      {about.secret && (
        <TextField
          label={about.secret}
          type="password"
          autoComplete="off"
          required={about.secretRequired && !sink?.has_secret}
          optional={!about.secretRequired}
          value={draft.secret}
          onChange={(event) => set({ secret: event.target.value })}
          error={error("secret")}
          hint={sink?.has_secret ? "Leave empty to keep the stored one." : "It is stored encrypted and never shown again."}
        />
      )}
      {!sink && about.sends === "records" && (
        <CheckField label="Send earlier records too" hint="Otherwise those from now on." checked={draft.fromStart} onChange={(event) => set({ fromStart: event.target.checked })} />
      )}
      <DialogActions>
        <Button type="submit" variant="primary" busy={save.isPending}>{sink ? "Save changes" : "Add"}</Button>
        <Button variant="quiet" onClick={onClose}>Cancel</Button>
      </DialogActions>
    </form>
  );
}

function TargetFields({ draft, set, error }: FieldsProps) {
  switch (draft.kind) {
    case "anchor_webhook":
      return <TextField label="URL" type="url" required placeholder="https://hooks.example.com/plasma" value={draft.url} onChange={(event) => set({ url: event.target.value })} error={error("target.url")} />;
    case "otlp":
      return <TextField label="Collector" type="url" required placeholder="https://otlp.example.com" hint="Without /v1/logs." value={draft.url} onChange={(event) => set({ url: event.target.value })} error={error("target.endpoint")} />;
    case "syslog":
      return <SyslogFields draft={draft} set={set} error={error} />;
    case "s3":
    case "anchor_s3":
      return <BucketFields draft={draft} set={set} error={error} />;
    default:
      return null;
  }
}

function SyslogFields({ draft, set, error }: FieldsProps) {
  return (
    <>
      <div className="grid gap-4 sm:grid-cols-[minmax(0,1fr)_7rem_8rem]">
        <TextField label="Host" required placeholder="logs.example.com" value={draft.host} onChange={(event) => set({ host: event.target.value })} error={error("target.host")} />
        <TextField label="Port" type="number" min={1} max={65535} required value={draft.port} onChange={(event) => set({ port: event.target.value })} error={error("target.port")} />
        <SelectField label="Transport" value={draft.transport} onChange={(event) => set({ transport: event.target.value as SinkDraft["transport"] })}>
          <option value="tls">TLS</option>
          <option value="tcp">TCP</option>
          <option value="udp">UDP</option>
        </SelectField>
      </div>
      {draft.transport === "tls" && (
        <TextAreaField label="Certificate authority" optional hint="In PEM, beside those that the server’s system trusts." placeholder="-----BEGIN CERTIFICATE-----" value={draft.caPem} onChange={(event) => set({ caPem: event.target.value })} error={error("target.ca_pem")} />
      )}
    </>
  );
}

function BucketFields({ draft, set, error }: FieldsProps) {
  return (
    <>
      <TextField label="Endpoint" type="url" required placeholder="https://s3.eu-central-1.amazonaws.com" value={draft.url} onChange={(event) => set({ url: event.target.value })} error={error("target.bucket.endpoint")} />
      <div className="grid gap-4 sm:grid-cols-2">
        <TextField label="Bucket" required maxLength={63} value={draft.bucket} onChange={(event) => set({ bucket: event.target.value })} error={error("target.bucket.name")} />
        <TextField label="Region" required maxLength={50} value={draft.region} onChange={(event) => set({ region: event.target.value })} error={error("target.bucket.region")} />
        <TextField label="Folder" optional maxLength={200} value={draft.prefix} onChange={(event) => set({ prefix: event.target.value })} error={error("target.bucket.prefix")} />
        <TextField label="Access key ID" required maxLength={200} autoComplete="off" value={draft.accessKeyId} onChange={(event) => set({ accessKeyId: event.target.value })} error={error("target.bucket.access_key_id")} />
      </div>
      {draft.kind === "anchor_s3" && (
        <div className="grid gap-4 sm:grid-cols-2">
          <SelectField label="Lock" value={draft.lock} onChange={(event) => set({ lock: event.target.value as SinkDraft["lock"] })} hint="The bucket must have been made with object lock.">
            <option value="compliance">Compliance: nobody lifts it</option>
            <option value="governance">Governance: some may lift it</option>
          </SelectField>
          <TextField label="Days" type="number" min={1} max={36500} required value={draft.retainDays} onChange={(event) => set({ retainDays: event.target.value })} error={error("target.retain_days")} />
        </div>
      )}
    </>
  );
}
