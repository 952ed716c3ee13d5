"use client";

import type { Benchmark } from "@plasma/client/types";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Play } from "lucide-react";
import Link from "next/link";
import { useState } from "react";

import { benchmarksQuery } from "@/data/benchmarks/queries";
import { useDenied } from "@/features/identity/session";
import { formatCount, plural } from "@/lib/format";
import { Badge } from "@/ui/badge";
import { Button, ButtonLink } from "@/ui/button";
import { LoadMore } from "@/ui/load-more";
import { PageHeader } from "@/ui/page-header";
import { ProgressBar } from "@/ui/progress-bar";
import { EmptyState, QueryView, SkeletonRows } from "@/ui/query-view";
import { Time } from "@/ui/time";

import { BenchmarkDialog } from "./benchmark-dialog";
import { BENCHMARK_STATES } from "./benchmark-labels";
import { ModelTabs } from "./model-tabs";

/** Runs that one comparison takes. */
const COMPARED_MAX = 5;

export function BenchmarksPage() {
  const benchmarks = useInfiniteQuery({
    ...benchmarksQuery,
    refetchInterval: (query) => (query.state.data?.pages.some((page) => page.data.some((run) => run.ended_at === null)) ? 2_000 : false),
  });
  const denied = useDenied("models:invoke");
  const [beginning, setBeginning] = useState(false);
  const [chosen, setChosen] = useState<string[]>([]);
  const begin = (
    <Button variant="primary" icon={<Play aria-hidden className="size-4" />} reason={denied} onClick={() => setBeginning(true)}>Begin a benchmark</Button>
  );
  const toggle = (id: string) => setChosen((ids) => (ids.includes(id) ? ids.filter((other) => other !== id) : [...ids, id]));
  return (
    <>
      <PageHeader title="Benchmarks" lead="The same cases put to several models: how often they are right, how quick they are, what a case costs, and how sure that is." actions={begin} />
      <ModelTabs current="/models/benchmarks/" />
      <QueryView
        query={benchmarks}
        loading={<SkeletonRows tall />}
        isEmpty={(data) => data.length === 0}
        empty={<EmptyState title="No benchmark yet" action={begin}>Choose the models; a suite of short tasks is part of the program, or bring your own.</EmptyState>}
      >
        {(data) => (
          <>
            <div className="mb-3 flex min-h-10 flex-wrap items-center justify-between gap-3">
              <p className="text-[0.875rem] text-soft" aria-live="polite">{compareHint(chosen.length)}</p>
              {chosen.length > 1 && chosen.length <= COMPARED_MAX && <ButtonLink href={`/models/benchmark/?ids=${chosen.join(",")}`}>Compare {formatCount(chosen.length)} runs</ButtonLink>}
            </div>
            <ul className="border-t border-rule-strong">
              {data.map((run) => <BenchmarkRow key={run.id} run={run} chosen={chosen.includes(run.id)} onToggle={() => toggle(run.id)} />)}
            </ul>
            <LoadMore query={benchmarks} />
          </>
        )}
      </QueryView>
      <BenchmarkDialog open={beginning} onOpenChange={setBeginning} />
    </>
  );
}

function compareHint(count: number): string {
  if (count === 0) return "Choose two or more runs to compare them.";
  if (count === 1) return "Choose one more to compare.";
  return count > COMPARED_MAX ? `At most ${COMPARED_MAX} runs are compared.` : "";
}

function BenchmarkRow({ run, chosen, onToggle }: { run: Benchmark; chosen: boolean; onToggle: () => void }) {
  const state = BENCHMARK_STATES[run.state];
  const total = run.case_count * run.models.length;
  return (
    <li className="flex gap-4 border-b border-rule py-5">
      <input type="checkbox" className="mt-1.5 size-4 shrink-0 accent-accent" aria-label={`Compare ${run.name}`} checked={chosen} onChange={onToggle} />
      <div className="min-w-0 grow">
        <p className="flex flex-wrap items-baseline gap-x-3 gap-y-1">
          <Link href={`/models/benchmark/?id=${run.id}`} className="link text-[1.0625rem] font-medium">{run.name}</Link>
          <Badge tone={state.tone}>{state.label}</Badge>
        </p>
        <p className="mt-1 text-[0.875rem] text-soft">{plural(run.case_count, "case")} for <span className="figure break-all">{run.models.join(", ")}</span>, begun <Time at={run.created_at} /></p>
        {run.ended_at === null && <ProgressBar label={`Answers of ${run.name}`} done={run.done} total={total} className="mt-3 max-w-md" />}
        {run.error && <p className="mt-2 text-[0.875rem] text-bad">{run.error}</p>}
      </div>
      {run.ended_at === null && <p className="figure shrink-0 text-[0.8125rem] text-faint tabular-nums">{formatCount(run.done)} / {formatCount(total)}</p>}
    </li>
  );
}
