"use client";

import type { ModelPull } from "@plasma/client/types";

import { useCancelPull } from "@/data/pulls/mutations";
import { useDenied } from "@/features/identity/session";
import { Button } from "@/ui/button";
import { Message } from "@/ui/message";
import { ProblemNote } from "@/ui/problem-note";
import { ProgressBar } from "@/ui/progress-bar";

import { fetchedText } from "./pull-labels";

/** How far weights have come, and why they came no further. */
export function PullProgress({ pull }: { pull: ModelPull }) {
  const denied = useDenied("installation:manage");
  const cancel = useCancelPull();
  const isUnderWay = pull.ended_at === null;
  return (
    <>
      {isUnderWay && (
        <div className="mt-3 flex flex-wrap items-center gap-x-4 gap-y-2">
          <ProgressBar label={`Weights of ${pull.name}`} done={pull.done_bytes} total={pull.size_bytes} className="max-w-md min-w-40 grow" />
          <span className="text-[0.8125rem] text-soft tabular-nums">{fetchedText(pull)}</span>
          <Button small reason={denied} busy={cancel.isPending} onClick={() => cancel.mutate(pull.id)}>Cancel<span className="sr-only"> fetching {pull.name}</span></Button>
        </div>
      )}
      {pull.error && (
        <p className="mt-2 text-[0.875rem] text-bad">
          <Message text={pull.error.message} />{isUnderWay && " It will be tried again."}
        </p>
      )}
      {cancel.error ? <ProblemNote error={cancel.error} className="mt-3" /> : null}
    </>
  );
}
