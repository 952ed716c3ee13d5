"use client";

import type { Prompt } from "@plasma/client/types";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { promptDiffQuery, promptVersionsQuery } from "@/data/prompts/queries";
import { ActorName } from "@/features/identity/actor-name";
import { plural } from "@/lib/format";
import { Button } from "@/ui/button";
import { cx } from "@/ui/cx";
import { DiffHunks } from "@/ui/diff-hunks";
import { TextField } from "@/ui/field";
import { LoadMore } from "@/ui/load-more";
import { EmptyState, QueryView, SkeletonRows } from "@/ui/query-view";
import { Time } from "@/ui/time";

interface Pair {
  from: number;
  to: number;
}

/** All versions, and how any two differ. */
export function PromptVersions({ prompt, shown, onOpen }: { prompt: Prompt; shown: number; onOpen: (version: number) => void }) {
  const versions = useInfiniteQuery(promptVersionsQuery(prompt.name));
  const [chosen, setChosen] = useState<Pair | null>(null);
  const newest = prompt.newest_version;
  const pair = chosen ?? (newest > 1 ? { from: newest - 1, to: newest } : null);
  const named = (version: number) => prompt.aliases.filter((alias) => alias.split.some((share) => share.version === version)).map((alias) => alias.name);
  return (
    <div className="grid gap-x-12 gap-y-10 lg:grid-cols-[20rem_minmax(0,1fr)]">
      <QueryView query={versions} isEmpty={(data) => data.length === 0} empty={<EmptyState title="No version yet">Write the first one under Text.</EmptyState>}>
        {(data) => (
          <div>
            <ol aria-label="Versions, newest first" className="border-t border-rule-strong">
              {data.map((version) => (
                <li key={version.version} className={cx("border-b border-rule py-3.5", pair && (version.version === pair.from || version.version === pair.to) && "border-l-2 border-l-accent pl-3")}>
                  <p className="flex items-baseline justify-between gap-3">
                    <span className="font-medium">Version {version.version}{named(version.version).length > 0 && <span className="font-normal text-faint">, {named(version.version).join(", ")}</span>}</span>
                    <span className="text-[0.8125rem] text-faint"><Time at={version.created_at} /></span>
                  </p>
                  <p className="text-[0.875rem] break-words text-soft">by <ActorName actor={version.actor} />{version.note && <>: {version.note}</>}</p>
                  <p className="mt-1.5 flex flex-wrap gap-2">
                    <Button small variant="quiet" className="-ml-2.5" onClick={() => onOpen(version.version)}>{version.version === shown ? "Text" : "Open its text"}<span className="sr-only"> of version {version.version}</span></Button>
                    {version.version > 1 && <Button small variant="quiet" onClick={() => setChosen({ from: version.version - 1, to: version.version })}>What changed<span className="sr-only"> in version {version.version}</span></Button>}
                  </p>
                </li>
              ))}
            </ol>
            <LoadMore query={versions} />
          </div>
        )}
      </QueryView>
      {pair ? (
        <Comparison name={prompt.name} pair={pair} newest={newest} onChange={setChosen} />
      ) : (
        newest === 1 && <p className="border-t border-rule pt-4 text-soft">There is one version so far. Any two can be compared here.</p>
      )}
    </div>
  );
}

function Comparison({ name, pair, newest, onChange }: { name: string; pair: Pair; newest: number; onChange: (pair: Pair) => void }) {
  const diff = useQuery(promptDiffQuery(name, pair.from, pair.to));
  const set = (side: keyof Pair) => (text: string) => {
    const number = Number(text);
    if (Number.isInteger(number) && number >= 1 && number <= newest) onChange({ ...pair, [side]: number });
  };
  return (
    <section aria-label="Comparison" className="min-w-0">
      <div className="mb-5 grid max-w-md grid-cols-2 gap-4">
        <TextField label="From version" type="number" min={1} max={newest} value={pair.from} onChange={(event) => set("from")(event.target.value)} />
        <TextField label="To version" type="number" min={1} max={newest} value={pair.to} onChange={(event) => set("to")(event.target.value)} />
      </div>
      <QueryView query={diff} loading={<SkeletonRows rows={5} />} isEmpty={(data) => data.hunks.length === 0} empty={<p className="text-soft">Versions {pair.from} and {pair.to} say the same.</p>}>
        {(data) => (
          <div data-diff>
            <p className="mb-3 text-[0.875rem] text-soft">
              <span className="font-medium text-good">{plural(data.added, "line")} added</span>, <span className="font-medium text-bad">{plural(data.removed, "line")} removed</span>
            </p>
            <DiffHunks hunks={data.hunks} mono />
          </div>
        )}
      </QueryView>
    </section>
  );
}
