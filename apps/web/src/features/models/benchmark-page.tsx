"use client";

import type { Benchmark } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import { useRouter } from "next/navigation";
import { useState } from "react";

import { useCancelBenchmark, useDeleteBenchmark } from "@/data/benchmarks/mutations";
import { benchmarkQuery, comparisonQuery } from "@/data/benchmarks/queries";
import { ActorName } from "@/features/identity/actor-name";
import { useDenied } from "@/features/identity/session";
import { formatCount, plural } from "@/lib/format";
import { useParam } from "@/lib/use-param";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { ConfirmDialog } from "@/ui/confirm-dialog";
import { Message } from "@/ui/message";
import { MissingId } from "@/ui/missing-id";
import { PageHeader } from "@/ui/page-header";
import { ProblemNote } from "@/ui/problem-note";
import { ProgressBar } from "@/ui/progress-bar";
import { Bone, QueryView, SkeletonRows } from "@/ui/query-view";
import { Time } from "@/ui/time";

import { BENCHMARK_STATES } from "./benchmark-labels";
import { BenchmarkReportView } from "./benchmark-report";

const BACK = { href: "/models/benchmarks/", label: "Benchmarks" };
const LOADING = <div><Bone className="mb-10 h-10 w-1/2" /><SkeletonRows /></div>;

export function BenchmarkPage() {
  const id = useParam("id");
  const ids = useParam("ids");
  if (ids) return <ComparedBenchmarks key={ids} ids={ids} />;
  if (!id) return <MissingId what="benchmark" href={BACK.href} back="All benchmarks" />;
  return <LoadedBenchmark key={id} id={id} />;
}

function ComparedBenchmarks({ ids }: { ids: string }) {
  const report = useQuery(comparisonQuery(ids));
  return (
    <>
      <PageHeader back={BACK} title={`${plural(ids.split(",").length, "run")} compared`} lead="Two models are compared on the cases that both have answered. A case of two runs is the same when it asks and checks the same." />
      <QueryView query={report} loading={LOADING}>{(data) => <BenchmarkReportView report={data} />}</QueryView>
    </>
  );
}

function LoadedBenchmark({ id }: { id: string }) {
  const benchmark = useQuery(benchmarkQuery(id));
  return (
    <QueryView query={benchmark} loading={LOADING}>
      {(data) => (
        <>
          <BenchmarkHeader run={data} />
          <BenchmarkReportView report={data.report} />
        </>
      )}
    </QueryView>
  );
}

function BenchmarkHeader({ run }: { run: Benchmark }) {
  const router = useRouter();
  const cancel = useCancelBenchmark();
  const remove = useDeleteBenchmark();
  const mayNotCancel = useDenied("models:invoke");
  const mayNotRemove = useDenied("models:write");
  const [removing, setRemoving] = useState(false);
  const state = BENCHMARK_STATES[run.state];
  const total = run.case_count * run.models.length;
  return (
    <>
      <PageHeader
        back={BACK}
        title={run.name}
        lead={<p className="flex flex-wrap items-baseline gap-x-3 gap-y-1"><Badge tone={state.tone}>{state.label}</Badge><span>{plural(run.case_count, "case")} of “{run.suite}”, begun by <ActorName actor={run.actor} /> <Time at={run.created_at} /></span></p>}
        actions={
          <>
            {run.ended_at === null && <Button busy={cancel.isPending} reason={mayNotCancel} onClick={() => cancel.mutate(run.id)}>Cancel the run</Button>}
            <Button variant="danger" reason={mayNotRemove} onClick={() => setRemoving(true)}>Remove</Button>
          </>
        }
      />
      {cancel.error ? <ProblemNote error={cancel.error} className="mb-6" /> : null}
      {run.error && <p role="alert" className="mb-8 rounded-[5px] border-l-3 border-bad bg-bad-soft px-4 py-3"><Message text={run.error} /></p>}
      {run.ended_at === null && (
        <div className="mb-8 max-w-xl">
          <ProgressBar label="Answers" done={run.done} total={total} />
          <p className="mt-2 text-[0.875rem] text-soft tabular-nums">{formatCount(run.done)} of {formatCount(total)} answers. What stands below is of those so far.</p>
        </div>
      )}
      <ConfirmDialog
        open={removing}
        onOpenChange={setRemoving}
        title="Remove this benchmark?"
        action="Remove benchmark"
        busy={remove.isPending}
        error={remove.error}
        onConfirm={() => remove.mutate(run.id, { onSuccess: () => router.push(BACK.href) })}
      >
        Its results are gone then. Records of its calls stay.
      </ConfirmDialog>
    </>
  );
}
