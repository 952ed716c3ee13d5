"use client";

import type { AskProgress, AskStage } from "@plasma/client/types";
import { useEffect, useState } from "react";

import { formatCount, formatDuration } from "@/lib/format";
import { Message } from "@/ui/message";
import { ProgressBar } from "@/ui/progress-bar";

const STAGES: Record<AskStage, string> = {
  retrieving: "Looking for passages",
  queued: "Waiting for the model",
  loading: "Loading the model",
  reading: "Reading",
  writing: "Writing",
};

/** What the server is doing before and while it writes: a local model may read for seconds before its first word. */
export function AnswerProgress({ progress, startedAtMs }: { progress: AskProgress | null; startedAtMs: number }) {
  const elapsedMs = useElapsed(startedAtMs);
  const stage = progress?.stage ?? "retrieving";
  const counted = stage !== "queued" && progress?.done != null && progress.total != null && progress.total > 0;
  const unit = stage === "reading" ? " tokens" : "";
  return (
    <div className="mb-6">
      <div className="mb-2 flex items-baseline justify-between gap-4 text-[0.875rem]">
        <p role="status" data-stage={stage}>
          <span className="font-medium">{STAGES[stage]}</span>
          {counted && <span className="figure ml-2 text-[0.8125rem] text-soft">{formatCount(progress.done ?? 0)} / {formatCount(progress.total ?? 0)}{unit}</span>}
          {!counted && progress?.detail && <span className="ml-2 text-soft"><Message text={progress.detail} /></span>}
        </p>
        <span className="figure text-[0.8125rem] text-faint">{formatDuration(Math.floor(elapsedMs / 1000) * 1000 || 0)}</span>
      </div>
      <ProgressBar label={STAGES[stage]} done={progress?.done ?? 0} total={counted ? (progress.total ?? null) : null} />
    </div>
  );
}

function useElapsed(startedAtMs: number): number {
  const [nowMs, setNowMs] = useState(startedAtMs);
  useEffect(() => {
    const timer = setInterval(() => setNowMs(Date.now()), 500);
    return () => clearInterval(timer);
  }, [startedAtMs]);
  return Math.max(0, nowMs - startedAtMs);
}
