"use client";

import type { Collection, CollectionIndex } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";

import { useSetRecallTarget } from "@/data/collections/mutations";
import { collectionIndexQuery } from "@/data/collections/queries";
import { formatBytes, formatCount, plural } from "@/lib/format";
import { Badge } from "@/ui/badge";
import { SelectField } from "@/ui/field";
import { Message } from "@/ui/message";
import { ProblemNote } from "@/ui/problem-note";
import { ProgressBar } from "@/ui/progress-bar";
import { EmptyState, QueryView, SkeletonRows } from "@/ui/query-view";
import { Time } from "@/ui/time";
import { useToast } from "@/ui/toast";

import { formatShare, INDEX_STATES, RECALL_TARGETS, recallSentence } from "./index-state";

/** While something is going on, and otherwise: the index works by itself in the background. */
const BUSY_MS = 2_000;
const IDLE_MS = 15_000;

/** How a collection's vectors are searched, how well, and what that takes. */
export function IndexPanel({ collection, denied }: { collection: Collection; denied: string | null }) {
  const index = useQuery({
    ...collectionIndexQuery(collection.id),
    refetchInterval: (query) => (query.state.data && isBusy(query.state.data) ? BUSY_MS : IDLE_MS),
  });
  return (
    <QueryView
      query={index}
      loading={<SkeletonRows rows={6} />}
      isEmpty={(data) => data.state === "empty"}
      empty={
        <EmptyState title="No index yet">
          <p>It comes with the first passage. Add a document, and this page says how well its passages are found.</p>
        </EmptyState>
      }
    >
      {(data) => (
        <div className="flex flex-col gap-8">
          <State index={data} />
          <RecallTarget collection={collection} denied={denied} />
          <Facts index={data} />
        </div>
      )}
    </QueryView>
  );
}

function isBusy(index: CollectionIndex): boolean {
  return index.state === "building" || index.compaction_due || (index.recall !== null && index.recall.target !== index.recall_target);
}

function State({ index }: { index: CollectionIndex }) {
  const state = INDEX_STATES[index.state];
  return (
    <section aria-label="State">
      <p className="flex flex-wrap items-baseline gap-x-3 gap-y-1">
        <Badge tone={state.tone}>{state.label}</Badge>
        <span className="text-soft">{state.says}</span>
      </p>
      {index.detail && <p role="alert" className="mt-3 rounded-[5px] border-l-3 border-bad bg-bad-soft px-4 py-3"><Message text={index.detail} /></p>}
      {index.build && (
        <div className="mt-4 max-w-xl">
          <ProgressBar label="Building the index" done={index.build.done} total={index.build.total} />
          <p className="mt-1.5 text-[0.8125rem] text-faint tabular-nums">{formatCount(index.build.done)} of {plural(index.build.total, "passage")} read</p>
        </div>
      )}
    </section>
  );
}

function RecallTarget({ collection, denied }: { collection: Collection; denied: string | null }) {
  const save = useSetRecallTarget();
  const notify = useToast();
  const current = collection.recall_target;
  const choices = RECALL_TARGETS.includes(current) ? RECALL_TARGETS : [...RECALL_TARGETS, current].sort((left, right) => left - right);
  return (
    <section aria-label="Recall target" className="max-w-md">
      <SelectField
        label="Recall target"
        hint={denied ?? "The share of the truly nearest passages that a search finds. Higher is slower in large collections; the index measures itself and tries as hard as it must."}
        value={String(save.isPending ? save.variables.recall_target : current)}
        disabled={denied !== null || save.isPending}
        onChange={(event) =>
          save.mutate({ id: collection.id, recall_target: Number(event.target.value) }, { onSuccess: () => notify("Recall target changed") })
        }
      >
        {choices.map((target) => <option key={target} value={String(target)}>{formatShare(target)}</option>)}
      </SelectField>
      {save.error ? <ProblemNote error={save.error} className="mt-3" /> : null}
    </section>
  );
}

function Facts({ index }: { index: CollectionIndex }) {
  const { recall, effort } = index;
  return (
    <dl className="grid gap-x-12 border-t border-rule-strong sm:grid-cols-2">
      <Fact name="Measured recall">
        {recall ? <span title={recallSentence(recall)}>{formatShare(recall.measured)}</span> : index.state === "exact" ? "100%, exact" : "not measured yet"}
        {recall && <small className="block text-[0.8125rem] text-faint">{recallSentence(recall)}</small>}
        {recall && recall.target !== index.recall_target && (
          <small className="block text-[0.8125rem] text-warn">for a target of {formatShare(recall.target)}; the new one is being measured</small>
        )}
      </Fact>
      <Fact name="Measured">{recall?.measured_at ? <Time at={recall.measured_at} /> : "—"}</Fact>
      <Fact name="Passages">{formatCount(index.passages)}</Fact>
      <Fact name="Vectors">{index.dimensions === null ? "—" : `${formatCount(index.dimensions)} numbers, ${index.metric}`}</Fact>
      <Fact name="In memory">{formatBytes(index.memory_bytes)}</Fact>
      <Fact name="On disk">{formatBytes(index.disk_bytes)}</Fact>
      <Fact name="Segments">
        {formatCount(index.segments)}
        {index.segments > 0 && <span className="text-faint">, {plural(index.partitions, "partition")}</span>}
      </Fact>
      <Fact name="Not in a segment yet">{plural(index.unmerged, "passage")}</Fact>
      <Fact name="Deleted, still on disk">{plural(index.deleted, "passage")}{index.compaction_due && <span className="text-faint">, to be merged soon</span>}</Fact>
      <Fact name="Effort">
        {effort === null ? "every passage is compared" : `reach ${effort.reach}, ${formatCount(effort.rescored)} candidates compared exactly`}
      </Fact>
      <Fact name="Scanned by a search">{effort === null ? "all" : effort.scanned_share === null ? "no search yet" : `${formatShare(effort.scanned_share)} of the codes`}</Fact>
    </dl>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="flex items-baseline justify-between gap-6 border-b border-rule py-3">
      <dt className="shrink-0 text-soft">{name}</dt>
      <dd className="min-w-0 text-right tabular-nums">{children}</dd>
    </div>
  );
}
