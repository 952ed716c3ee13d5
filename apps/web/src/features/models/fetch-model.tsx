"use client";

import type { Model } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import { Download } from "lucide-react";

import { useBeginPull } from "@/data/pulls/mutations";
import { pullsQuery } from "@/data/pulls/queries";
import { useCan, useDenied } from "@/features/identity/session";
import { formatBytes } from "@/lib/format";
import { Button } from "@/ui/button";
import { ProblemNote } from "@/ui/problem-note";

import { PullProgress } from "./pull-progress";

/** Fetches the weights of a model of this program that are not on the server's machine. */
export function FetchModel({ model }: { model: Model }) {
  const mayRead = useCan("installation:read");
  const denied = useDenied("installation:manage");
  const pulls = useQuery({ ...pullsQuery, enabled: mayRead });
  const begin = useBeginPull();
  // The newest one: what was before it is history.
  const pull = pulls.data?.find((candidate) => candidate.name === model.id);
  return (
    <div className="mt-3">
      {pull?.ended_at !== null && (
        <Button small icon={<Download aria-hidden className="size-4" />} reason={denied} busy={begin.isPending} onClick={() => begin.mutate({ name: model.id })}>
          Fetch{model.size_bytes !== null && ` ${formatBytes(model.size_bytes)}`}<span className="sr-only"> of {model.id}</span>
        </Button>
      )}
      {pull && <PullProgress pull={pull} />}
      {begin.error ? <ProblemNote error={begin.error} className="mt-3" /> : null}
    </div>
  );
}
