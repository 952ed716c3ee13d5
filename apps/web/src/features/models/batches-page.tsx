"use client";

import type { Batch } from "@plasma/client/types";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useState } from "react";

import { useCancelBatch } from "@/data/batches/mutations";
import { batchesQuery, batchFileUrl } from "@/data/batches/queries";
import { formatCount, plural } from "@/lib/format";
import { usePollingMs } from "@/live/live-provider";
import { Badge, type Tone } from "@/ui/badge";
import { Button, buttonClass } from "@/ui/button";
import { ConfirmDialog } from "@/ui/confirm-dialog";
import { LoadMore } from "@/ui/load-more";
import { PageHeader } from "@/ui/page-header";
import { ProgressBar } from "@/ui/progress-bar";
import { EmptyState, QueryView } from "@/ui/query-view";
import { Time } from "@/ui/time";

import { BATCH_ENDPOINTS, BatchDialog } from "./batch-dialog";
import { ModelTabs } from "./model-tabs";

const STATUSES: Record<Batch["status"], { label: string; tone: Tone; ended: boolean }> = {
  validating: { label: "Checking the file", tone: "plain", ended: false },
  in_progress: { label: "In progress", tone: "accent", ended: false },
  finalizing: { label: "Writing results", tone: "accent", ended: false },
  completed: { label: "Completed", tone: "good", ended: true },
  failed: { label: "Failed", tone: "bad", ended: true },
  expired: { label: "Expired", tone: "warn", ended: true },
  cancelling: { label: "Cancelling", tone: "warn", ended: false },
  cancelled: { label: "Cancelled", tone: "plain", ended: true },
};

/** Mistakes of a file that are shown at once. */
const ERRORS_SHOWN = 5;

export function BatchesPage() {
  const pollingMs = usePollingMs();
  const batches = useInfiniteQuery({
    ...batchesQuery,
    refetchInterval: (query) => (query.state.data?.pages.some((page) => page.data.some((batch) => !STATUSES[batch.status].ended)) ? pollingMs : false),
  });
  const cancel = useCancelBatch();
  const [adding, setAdding] = useState(false);
  const [cancelling, setCancelling] = useState<Batch | null>(null);
  const add = <Button variant="primary" icon={<Plus aria-hidden className="size-4" />} onClick={() => setAdding(true)}>New batch</Button>;
  return (
    <>
      <PageHeader title="Batches" lead="Many calls from one file, made in the background within a day, with the same models, limits and budgets as any other call." actions={add} />
      <ModelTabs current="/models/batches/" />
      <QueryView query={batches} isEmpty={(data) => data.length === 0} empty={<EmptyState title="No batch yet" action={add}>A file with one request a line becomes a file with one answer a line.</EmptyState>}>
        {(data) => (
          <>
            <ul className="border-t border-rule-strong">
              {data.map((batch) => <BatchRow key={batch.id} batch={batch} onCancel={() => setCancelling(batch)} />)}
            </ul>
            <LoadMore query={batches} />
          </>
        )}
      </QueryView>
      <BatchDialog open={adding} onClose={() => setAdding(false)} />
      <ConfirmDialog
        open={cancelling !== null}
        onOpenChange={(open) => !open && setCancelling(null)}
        title="Cancel this batch?"
        action="Cancel batch"
        busy={cancel.isPending}
        error={cancel.error}
        onConfirm={() => cancelling && cancel.mutate(cancelling.id, { onSuccess: () => setCancelling(null) })}
      >
        No further line begins. What was answered so far stays in its files.
      </ConfirmDialog>
    </>
  );
}

function BatchRow({ batch, onCancel }: { batch: Batch; onCancel: () => void }) {
  const status = STATUSES[batch.status];
  const { total, completed, failed } = batch.request_counts;
  const name = batch.metadata?.["name"] ?? batch.id;
  const mayCancel = batch.status === "validating" || batch.status === "in_progress";
  return (
    <li className="border-b border-rule py-5" data-batch={batch.id}>
      <div className="flex flex-wrap items-start justify-between gap-x-6 gap-y-3">
        <div className="min-w-0 grow">
          <p className="flex flex-wrap items-center gap-x-3 gap-y-1">
            <span className="min-w-0 text-[1.0625rem] font-medium break-all">{name}</span>
            <Badge tone={status.tone}>{status.label}</Badge>
          </p>
          <p className="mt-1 text-[0.875rem] text-soft">
            {BATCH_ENDPOINTS[batch.endpoint]}, created <Time at={batch.created_at * 1_000_000} />
            {!status.ended && <>, ends by <Time at={batch.expires_at * 1_000_000} /></>}
          </p>
          {!status.ended && <ProgressBar label={`Answered lines of ${name}`} done={completed + failed} total={total || null} className="mt-3 max-w-md" />}
          {total > 0 && (
            <p className="mt-2 text-[0.875rem] text-soft tabular-nums">
              {formatCount(completed)} of {plural(total, "line")} answered{failed > 0 && <>, {formatCount(failed)} with an error</>}
            </p>
          )}
          {batch.errors && <BatchErrors errors={batch.errors.data} />}
        </div>
        <div className="flex flex-wrap gap-2">
          {batch.output_file_id && <a className={buttonClass("secondary", true)} href={batchFileUrl(batch.output_file_id)} download>Answers<span className="sr-only"> of {name}</span></a>}
          {batch.error_file_id && <a className={buttonClass("secondary", true)} href={batchFileUrl(batch.error_file_id)} download>Errors<span className="sr-only"> of {name}</span></a>}
          {mayCancel && <Button small variant="danger" onClick={onCancel}>Cancel</Button>}
        </div>
      </div>
    </li>
  );
}

function BatchErrors({ errors }: { errors: NonNullable<Batch["errors"]>["data"] }) {
  return (
    <ul className="mt-2 text-[0.875rem] text-bad">
      {errors.slice(0, ERRORS_SHOWN).map((error, index) => <li key={index} className="break-words">{error.message}{error.param && ` (${error.param})`}</li>)}
      {errors.length > ERRORS_SHOWN && <li>and {errors.length - ERRORS_SHOWN} more</li>}
    </ul>
  );
}
