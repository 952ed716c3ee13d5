"use client";

import type { TenantExport } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { useDeleteExport, useRequestExport } from "@/data/tenants/mutations";
import { exportsQuery } from "@/data/tenants/queries";
import { formatBytes, formatCount, formatDateTime } from "@/lib/format";
import { Badge, type Tone } from "@/ui/badge";
import { Button, buttonClass } from "@/ui/button";
import { ConfirmDialog } from "@/ui/confirm-dialog";
import { Message } from "@/ui/message";
import { Section } from "@/ui/page-header";
import { ProblemNote } from "@/ui/problem-note";
import { ProgressBar } from "@/ui/progress-bar";
import { QueryView, SkeletonRows } from "@/ui/query-view";
import { Time } from "@/ui/time";

import { ActorName } from "./actor-name";
import { useCan, useDenied } from "./session";

const STATES: Record<TenantExport["state"], { label: string; tone: Tone }> = {
  queued: { label: "Waiting", tone: "plain" },
  running: { label: "Being written", tone: "accent" },
  ready: { label: "Ready", tone: "good" },
  failed: { label: "Failed", tone: "bad" },
  expired: { label: "Removed", tone: "plain" },
};

const isBusy = (one: TenantExport) => one.state === "queued" || one.state === "running";

/** Copies of all that the workspace has, to take away. */
export function ExportSection() {
  const may = useCan("tenants:export");
  const denied = useDenied("tenants:export");
  const exports = useQuery({ ...exportsQuery, enabled: may });
  const request = useRequestExport();
  const busy = exports.data?.some(isBusy) ?? false;
  return (
    <Section
      title="Export"
      lead="A ZIP archive of every row as JSON lines and of all files. It is made in the background and kept for 7 days. Passwords, tokens and keys are not in it."
      actions={<Button busy={request.isPending} reason={denied ?? (busy ? "An export is being made already." : null)} onClick={() => request.mutate()}>Make an export</Button>}
    >
      {request.error ? <ProblemNote error={request.error} className="mb-4" /> : null}
      {may && (
        <QueryView query={exports} loading={<SkeletonRows rows={1} />} isEmpty={(data) => data.length === 0} empty={<p className="text-faint">None yet.</p>}>
          {(data) => <ExportList exports={data} />}
        </QueryView>
      )}
    </Section>
  );
}

function ExportList({ exports }: { exports: TenantExport[] }) {
  const remove = useDeleteExport();
  const [removing, setRemoving] = useState<TenantExport | null>(null);
  return (
    <>
      <ul className="border-t border-rule-strong">
        {exports.map((one) => <ExportRow key={one.id} export={one} onRemove={() => setRemoving(one)} />)}
      </ul>
      <ConfirmDialog
        open={removing !== null}
        onOpenChange={(open) => !open && setRemoving(null)}
        title={removing && isBusy(removing) ? "Stop this export?" : "Remove this export?"}
        action={removing && isBusy(removing) ? "Stop" : "Remove"}
        busy={remove.isPending}
        error={remove.error}
        onConfirm={() => removing && remove.mutate(removing.id, { onSuccess: () => setRemoving(null) })}
      >
        The archive is removed from the server. What it was made of stays.
      </ConfirmDialog>
    </>
  );
}

function ExportRow({ export: one, onRemove }: { export: TenantExport; onRemove: () => void }) {
  const state = STATES[one.state];
  return (
    <li data-export={one.id} className="flex flex-wrap items-center justify-between gap-x-6 gap-y-3 border-b border-rule py-3.5">
      <div className="min-w-0 flex-1 basis-72">
        <p>
          <Badge tone={state.tone}>{state.label}</Badge>{" "}
          <span className="text-soft">asked for <Time at={one.created_at} /> by <ActorName actor={one.requested_by} /></span>
        </p>
        {isBusy(one) && (
          <>
            <ProgressBar label="Rows and files written" done={one.done} total={one.total || null} className="mt-2.5 max-w-md" />
            {one.total > 0 && <p className="mt-1.5 text-[0.875rem] text-soft tabular-nums">{formatCount(one.done)} of {formatCount(one.total)} rows and files</p>}
          </>
        )}
        {one.state === "ready" && (
          <p className="mt-1 text-[0.875rem] text-soft">
            {one.size_bytes !== null && formatBytes(one.size_bytes)}
            {one.expires_at !== null && <>, kept until {formatDateTime(one.expires_at)}</>}
          </p>
        )}
        {one.error && <p className="mt-1 text-[0.875rem] text-bad"><Message text={one.error.detail} /></p>}
      </div>
      <div className="flex gap-2.5">
        {one.state === "ready" && <a href={`/api/v1/tenants/current/exports/${one.id}/content`} download className={buttonClass("secondary", true)}>Download</a>}
        <Button small variant="quiet" onClick={onRemove}>{isBusy(one) ? "Stop" : "Remove"}</Button>
      </div>
    </li>
  );
}
