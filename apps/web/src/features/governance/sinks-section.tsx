"use client";

import type { AuditSink } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useState } from "react";

import type { AuditLogName } from "@/data/audit/keys";
import { useDeleteSink, useSaveSink, useTestSink } from "@/data/audit/mutations";
import { auditSinksQuery } from "@/data/audit/queries";
import { useDenied } from "@/features/identity/session";
import { formatCount, formatDuration } from "@/lib/format";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { ConfirmDialog } from "@/ui/confirm-dialog";
import { Message } from "@/ui/message";
import { ProblemNote } from "@/ui/problem-note";
import { EmptyState, QueryView } from "@/ui/query-view";
import { Time } from "@/ui/time";

import { SinkDialog } from "./sink-dialog";
import { placeOf, SINK_KINDS } from "./sink-draft";

export function SinksSection({ log }: { log: AuditLogName | undefined }) {
  const sinks = useQuery(auditSinksQuery(log));
  const denied = useDenied("audit:write");
  const remove = useDeleteSink(log);
  const [editing, setEditing] = useState<AuditSink | "new" | null>(null);
  const [removing, setRemoving] = useState<AuditSink | null>(null);
  const add = <Button variant="primary" icon={<Plus aria-hidden className="size-4" />} reason={denied} onClick={() => setEditing("new")}>Add an anchor or an export</Button>;
  return (
    <>
      <div className="mb-5 flex flex-wrap items-end justify-between gap-4">
        <p className="max-w-[64ch] text-soft">An anchor keeps checkpoints outside, so that nobody who rules the database can cut the log off unseen. An export sends records to your log system.</p>
        {sinks.data && sinks.data.length > 0 && add}
      </div>
      <QueryView query={sinks} isEmpty={(data) => data.length === 0} empty={<EmptyState title="Nothing leaves this installation" action={add}>Add at least one anchor: it is what proves later that the end of the log is still there.</EmptyState>}>
        {(data) => (
          <ul className="border-t border-rule-strong">
            {data.map((sink) => <SinkRow key={sink.id} sink={sink} log={log} denied={denied} onEdit={() => setEditing(sink)} onRemove={() => setRemoving(sink)} />)}
          </ul>
        )}
      </QueryView>
      <SinkDialog sink={editing} log={log} onClose={() => setEditing(null)} />
      <ConfirmDialog
        open={removing !== null}
        onOpenChange={(open) => !open && setRemoving(null)}
        title={`Remove “${removing?.name ?? ""}”?`}
        action="Remove"
        busy={remove.isPending}
        error={remove.error}
        onConfirm={() => removing && remove.mutate(removing.id, { onSuccess: () => setRemoving(null) })}
      >
        Nothing more is sent there, and its secret is erased. What it delivered stays where it is.
      </ConfirmDialog>
    </>
  );
}

function SinkRow({ sink, log, denied, onEdit, onRemove }: { sink: AuditSink; log: AuditLogName | undefined; denied: string | null; onEdit: () => void; onRemove: () => void }) {
  const test = useTestSink(log);
  const save = useSaveSink(log);
  const about = SINK_KINDS[sink.target.kind];
  return (
    <li className="border-b border-rule py-5" data-audit-sink={sink.id}>
      <div className="flex flex-wrap items-start justify-between gap-x-6 gap-y-3">
        <div className="min-w-0">
          <p className="flex flex-wrap items-center gap-2"><span className="font-serif text-[1.25rem] font-medium tracking-tight">{sink.name}</span> <SinkState sink={sink} /></p>
          <p className="figure text-[0.875rem] break-all text-soft">{placeOf(sink.target)}</p>
          <p className="mt-1 text-[0.875rem] text-faint">
            {about.label}, {about.sends === "checkpoints" ? `anchored to record ${formatCount(sink.next_leaf)}` : `sent up to record ${formatCount(sink.next_leaf)}`}
            {sink.delivered_at !== null && <>, last <Time at={sink.delivered_at} /></>}
          </p>
        </div>
        <div className="flex flex-wrap gap-2">
          <Button small busy={test.isPending} reason={denied} onClick={() => test.mutate(sink.id)}>Test</Button>
          <Button small busy={save.isPending} reason={denied} onClick={() => save.mutate({ id: sink.id, body: { enabled: !sink.enabled } })}>{sink.enabled ? "Pause" : "Resume"}</Button>
          <Button small reason={denied} onClick={onEdit}>Edit</Button>
          <Button small variant="danger" reason={denied} onClick={onRemove}>Remove</Button>
        </div>
      </div>
      {sink.error && sink.failures > 0 && (
        <p className="mt-3 rounded-[5px] border-l-3 border-bad bg-bad-soft px-4 py-3">
          <Message text={sink.error} /> <span className="text-soft">It is tried again <Time at={sink.next_attempt_at} />.</span>
        </p>
      )}
      <div aria-live="polite">
        {test.error ?? save.error ? <ProblemNote error={test.error ?? save.error} className="mt-3" /> : null}
        {test.data && !test.data.ok && <p className="mt-3 rounded-[5px] border-l-3 border-bad bg-bad-soft px-4 py-3"><Message text={test.data.error ?? "It was not taken"} /></p>}
        {test.data?.ok && <p className="mt-3 rounded-[5px] border-l-3 border-good bg-good-soft px-4 py-3">Taken in {formatDuration(test.data.duration_ms)}.</p>}
      </div>
    </li>
  );
}

function SinkState({ sink }: { sink: AuditSink }) {
  if (!sink.enabled) return <Badge>Paused</Badge>;
  if (sink.failures > 0) return <Badge tone="bad">Failing</Badge>;
  if (sink.delivered_at === null) return <Badge>Waiting</Badge>;
  return <Badge tone="good">Delivering</Badge>;
}
