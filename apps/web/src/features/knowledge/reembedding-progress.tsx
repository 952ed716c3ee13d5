"use client";

import { useQuery } from "@tanstack/react-query";

import { useCancelReembedding } from "@/data/collections/mutations";
import { reembeddingQuery } from "@/data/collections/queries";
import { formatCount } from "@/lib/format";
import { Button } from "@/ui/button";
import { Message } from "@/ui/message";
import { ProblemNote } from "@/ui/problem-note";
import { ProgressBar } from "@/ui/progress-bar";
import { Time } from "@/ui/time";

/** How far the collection is embedded with another model, while it is; and why the last change was given up. */
export function ReembeddingProgress({ collection, denied }: { collection: string; denied: string | null }) {
  const { data } = useQuery(reembeddingQuery(collection));
  const cancel = useCancelReembedding(collection);
  if (!data) return null;
  if (data.state === "failed" && data.error) {
    return (
      <p role="status" className="mt-4 mb-6 text-[0.875rem] text-bad">
        The embedding model was not changed to <span className="figure break-all">{data.model}</span>{data.ended_at !== null && <> (<Time at={data.ended_at} />)</>}:{" "}
        <Message text={[data.error.detail, data.error.remedy].filter(Boolean).join("; ")} />
      </p>
    );
  }
  if (data.state !== "running") return null;
  return (
    <section aria-label="Change of the embedding model" className="mt-4 mb-6">
      <p className="text-[0.875rem] text-soft">
        Being embedded with <span className="figure break-all">{data.model}</span>. Searches use the model from before until it is done.
      </p>
      <div className="mt-2 flex flex-wrap items-center gap-x-4 gap-y-2">
        <ProgressBar label={`Passages embedded with ${data.model}`} done={data.done} total={data.total || null} className="max-w-md min-w-40 grow" />
        <span className="text-[0.8125rem] text-soft tabular-nums">{formatCount(data.done)} of {formatCount(data.total)} passages</span>
        <Button small reason={denied} busy={cancel.isPending} onClick={() => cancel.mutate()}>Cancel<span className="sr-only"> the change of the embedding model</span></Button>
      </div>
      {cancel.error ? <ProblemNote error={cancel.error} className="mt-3" /> : null}
    </section>
  );
}
