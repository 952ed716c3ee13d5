"use client";

import type { ModelCall } from "@plasma/client/types";
import { useInfiniteQuery } from "@tanstack/react-query";
import Link from "next/link";
import { useMemo, useState } from "react";

import { callsQuery } from "@/data/calls/queries";
import { formatCount, formatDuration, formatMoney } from "@/lib/format";
import { useParam, useSetParams } from "@/lib/use-param";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { LoadMore } from "@/ui/load-more";
import { PageHeader } from "@/ui/page-header";
import { EmptyState, QueryView, SkeletonRows } from "@/ui/query-view";
import { Time } from "@/ui/time";

import { CallFilters, filterOf, NO_CHOICE } from "./call-filters";
import { CaptureButton } from "./capture-dialog";
import { CACHE_KINDS } from "./cache-labels";
import { CALL_PURPOSES, CALL_STATUSES } from "./model-labels";
import { ModelTabs } from "./model-tabs";

export function CallsPage() {
  const [choice, setChoice] = useState(NO_CHOICE);
  const prompt = useParam("prompt");
  const setParams = useSetParams();
  const filter = useMemo(() => ({ ...filterOf(choice), ...(prompt && { prompt }) }), [choice, prompt]);
  const filtered = Object.keys(filter).length > 0;
  const calls = useInfiniteQuery(callsQuery(filter));
  return (
    <>
      <PageHeader title="Calls" lead="Every call of a model, with what it read, wrote, took and cost." actions={<CaptureButton />} />
      <ModelTabs current="/models/calls/" />
      <CallFilters choice={choice} onChange={setChoice} />
      {prompt && (
        <p className="mb-5 flex flex-wrap items-center gap-3 text-[0.875rem] text-soft">
          <span>Only calls with the prompt <span className="figure break-all">{prompt}</span></span>
          <Button small variant="quiet" onClick={() => setParams({ prompt: null })}>Show all</Button>
        </p>
      )}
      <QueryView
        query={calls}
        loading={<SkeletonRows rows={8} />}
        isEmpty={(data) => data.length === 0}
        empty={<EmptyState title={filtered ? "No call is like that" : "No model was called yet"}>{filtered ? "Change or clear the filters." : "Ask a question or write a draft, and its call appears here."}</EmptyState>}
      >
        {(data) => (
          <>
            <table className="ledger stack">
              <thead>
                <tr><th>When</th><th>Model</th><th>Purpose</th><th>Status</th><th className="num">Read</th><th className="num">Written</th><th className="num">Time</th><th className="num">Cost</th></tr>
              </thead>
              <tbody>{data.map((call) => <CallRow key={call.id} call={call} />)}</tbody>
            </table>
            <LoadMore query={calls} />
          </>
        )}
      </QueryView>
    </>
  );
}

function CallRow({ call }: { call: ModelCall }) {
  const status = CALL_STATUSES[call.status];
  return (
    <tr data-call={call.id}>
      <td><Link href={`/models/call/?id=${encodeURIComponent(call.id)}`} className="link"><Time at={call.created_at} /></Link></td>
      <td className="figure text-[0.875rem] break-all">{call.model}</td>
      <td data-label="Purpose">{CALL_PURPOSES[call.purpose]}</td>
      <td data-label="Status"><Badge tone={status.tone}>{status.label}</Badge>{call.cache && <> <Badge tone="plain">{CACHE_KINDS[call.cache.kind]}</Badge></>}</td>
      <td className="num" data-label="Read">{formatCount(call.input_tokens)}</td>
      <td className="num" data-label="Written">{formatCount(call.output_tokens)}</td>
      <td className="num" data-label="Time">{formatDuration(call.duration_ms)}</td>
      <td className="num" data-label="Cost">{call.cost ? formatMoney(call.cost) : <span title="No price is known for this model" className="text-faint">—</span>}</td>
    </tr>
  );
}
