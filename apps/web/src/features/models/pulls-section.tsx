"use client";

import type { ModelPull } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { pullsQuery } from "@/data/pulls/queries";
import { useCan, useDenied } from "@/features/identity/session";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { EmptyState, QueryView } from "@/ui/query-view";
import { Time } from "@/ui/time";

import { PullDialog } from "./pull-dialog";
import { PULL_STATES } from "./pull-labels";
import { PullProgress } from "./pull-progress";

/** What is being fetched onto the server's machine. For those who see the installation: weights are everybody's. */
export function PullsSection() {
  const mayRead = useCan("installation:read");
  const denied = useDenied("installation:manage");
  const pulls = useQuery({ ...pullsQuery, enabled: mayRead });
  const [isBeginning, setBeginning] = useState(false);
  if (!mayRead) return null;
  const begin = <Button small reason={denied} onClick={() => setBeginning(true)}>Fetch from Hugging Face</Button>;
  return (
    <section className="mt-12" aria-labelledby="pulls">
      <div className="mb-3 flex flex-wrap items-baseline justify-between gap-3">
        <h2 id="pulls" className="font-serif text-[1.375rem] font-medium tracking-tight">Fetched weights</h2>
        {begin}
      </div>
      <QueryView
        query={pulls}
        isEmpty={(data) => data.length === 0}
        empty={<EmptyState title="Nothing was fetched yet">GGUF files and embedding models come from Hugging Face, or from the mirror that the configuration names.</EmptyState>}
      >
        {(data) => (
          <ul className="border-t border-rule-strong">
            {data.map((pull) => <PullRow key={pull.id} pull={pull} />)}
          </ul>
        )}
      </QueryView>
      <PullDialog open={isBeginning} onOpenChange={setBeginning} />
    </section>
  );
}

function PullRow({ pull }: { pull: ModelPull }) {
  const state = PULL_STATES[pull.state];
  const isOurs = pull.name.startsWith("local/");
  return (
    <li className="border-b border-rule py-5" data-pull={pull.id}>
      <p className="flex flex-wrap items-baseline gap-x-3 gap-y-1">
        <span className="figure font-medium break-all">{pull.name}</span>
        <Badge tone={state.tone}>{state.label}</Badge>
      </p>
      <p className="mt-1 text-[0.875rem] text-soft">
        {pull.files.length > 0 && <><span className="figure break-all">{pull.files.join(", ")}</span>, </>}
        begun <Time at={pull.created_at} />
        {pull.license && <>, license {pull.license}</>}
      </p>
      <PullProgress pull={pull} />
      {pull.state === "done" && !isOurs && (
        <p className="mt-2 text-[0.875rem] text-soft">
          In the folder <span className="figure break-all">{pull.folder}</span> of the models directory. Add it as a custom model to call it.
        </p>
      )}
    </li>
  );
}
