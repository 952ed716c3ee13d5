"use client";

import type { Job } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";

import { jobsQuery } from "@/data/system/queries";
import { formatCount } from "@/lib/format";
import { Message } from "@/ui/message";
import { ProgressBar } from "@/ui/progress-bar";
import { QueryView, SkeletonRows } from "@/ui/query-view";
import { Time } from "@/ui/time";

/** Work that runs in the background, and work that gave up. */
export function JobsPanel() {
  const running = useQuery(jobsQuery("running"));
  const queued = useQuery(jobsQuery("queued"));
  const failed = useQuery(jobsQuery("failed"));
  return (
    <>
      <QueryView
        query={running}
        loading={<SkeletonRows rows={2} />}
        isEmpty={(jobs) => jobs.length === 0}
        empty={<p className="border-t border-rule pt-3 text-soft">Nothing is running.</p>}
      >
        {(jobs) => <ul className="border-t border-rule">{jobs.map((job) => <RunningJob key={job.id} job={job} />)}</ul>}
      </QueryView>
      {queued.data && queued.data.length > 0 && (
        <p className="mt-3 text-soft">{queued.data.length === 20 ? "20 or more" : formatCount(queued.data.length)} waiting in the queue.</p>
      )}
      {failed.data && failed.data.length > 0 && (
        <details className="mt-4 rounded-[5px] bg-bad-soft px-4 py-3">
          <summary className="font-medium text-bad">{failed.data.length === 20 ? "20 or more" : failed.data.length} gave up</summary>
          <ul className="mt-2 flex flex-col gap-3">
            {failed.data.map((job) => (
              <li key={job.id}>
                <p className="font-medium">{jobName(job)}</p>
                <p className="text-[0.875rem] text-soft"><Message text={job.error?.detail ?? "No reason was recorded"} /> After {job.attempt} of {job.max_attempts} attempts, <Time at={job.updated_at} />.</p>
              </li>
            ))}
          </ul>
        </details>
      )}
    </>
  );
}

function RunningJob({ job }: { job: Job }) {
  return (
    <li className="border-b border-rule py-3">
      <div className="mb-2 flex items-baseline justify-between gap-3">
        <span className="min-w-0 truncate font-medium">{jobName(job)}</span>
        <span className="figure shrink-0 text-[0.8125rem] text-faint">
          {job.progress ? `${formatCount(job.progress.done)} / ${formatCount(job.progress.total)}` : job.attempt > 1 ? `attempt ${job.attempt}` : ""}
        </span>
      </div>
      <ProgressBar label={jobName(job)} done={job.progress?.done ?? 0} total={job.progress?.total ?? null} />
    </li>
  );
}

/** `knowledge.ingest_document` as "Ingest document". */
function jobName(job: Job): string {
  const words = (job.kind.split(".").at(-1) ?? job.kind).replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}
