"use client";

import type { ContentDocument, Revision } from "@plasma/client/types";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { useRestoreRevision } from "@/data/content/mutations";
import { diffQuery, revisionsQuery } from "@/data/content/queries";
import { ActorName } from "@/features/identity/actor-name";
import { cx } from "@/ui/cx";
import { Button } from "@/ui/button";
import { ConfirmDialog } from "@/ui/confirm-dialog";
import { SelectField } from "@/ui/field";
import { LoadMore } from "@/ui/load-more";
import { QueryView } from "@/ui/query-view";
import { Time } from "@/ui/time";
import { useToast } from "@/ui/toast";

import { DiffView } from "./diff-view";

const KINDS: Record<Revision["kind"], string> = { generated: "drafted with a model", edited: "edited", restored: "restored", created: "created" };

export function RevisionsPanel({ document, dirty, denied }: { document: ContentDocument; dirty: boolean; denied: string | null }) {
  const revisions = useInfiniteQuery(revisionsQuery(document.id));
  const restore = useRestoreRevision(document.id);
  const notify = useToast();
  const [pair, setPair] = useState<{ from: number; to: number } | null>(null);
  const [restoring, setRestoring] = useState<Revision | null>(null);
  const shown = pair ?? (document.revision > 1 ? { from: document.revision - 1, to: document.revision } : null);
  const reason = denied ?? (dirty ? "Save or undo your changes first." : null);

  return (
    <div className="grid gap-x-12 gap-y-10 lg:grid-cols-[20rem_minmax(0,1fr)]">
      <QueryView query={revisions}>
        {(data) => (
          <div>
            <ol aria-label="Revisions, newest first" className="border-t border-rule-strong">
              {data.map((revision) => (
                <li key={revision.number} className={cx("border-b border-rule py-3.5", shown && (revision.number === shown.from || revision.number === shown.to) && "border-l-2 border-l-accent pl-3")}>
                  <p className="flex items-baseline justify-between gap-3">
                    <span className="font-medium">Revision {revision.number}{revision.number === document.revision && <span className="font-normal text-faint">, current</span>}</span>
                    <span className="text-[0.8125rem] text-faint"><Time at={revision.created_at} /></span>
                  </p>
                  <p className="text-[0.875rem] text-soft">{KINDS[revision.kind]} by <ActorName actor={revision.created_by} />{revision.note && <>: {revision.note}</>}</p>
                  <p className="mt-1.5 flex flex-wrap gap-2">
                    {revision.number > 1 && (
                      <Button small variant="quiet" className="-ml-2.5" onClick={() => setPair({ from: revision.number - 1, to: revision.number })}>What changed</Button>
                    )}
                    {revision.number !== document.revision && (
                      <>
                        <Button small variant="quiet" className={revision.number === 1 ? "-ml-2.5" : undefined} onClick={() => setPair({ from: revision.number, to: document.revision })}>Compare with current</Button>
                        <Button small variant="quiet" reason={reason} onClick={() => setRestoring(revision)}>Restore</Button>
                      </>
                    )}
                  </p>
                </li>
              ))}
            </ol>
            <LoadMore query={revisions} />
          </div>
        )}
      </QueryView>
      {shown ? (
        <Comparison id={document.id} pair={shown} latest={document.revision} onChange={setPair} />
      ) : (
        <p className="border-t border-rule pt-4 text-soft">There is one revision so far. Every save adds one, and any two can be compared here.</p>
      )}
      <ConfirmDialog
        open={restoring !== null}
        onOpenChange={(open) => !open && setRestoring(null)}
        title={`Restore revision ${restoring?.number ?? ""}?`}
        action="Restore"
        danger={false}
        busy={restore.isPending}
        error={restore.error}
        onConfirm={() =>
          restoring &&
          restore.mutate(restoring.number, {
            onSuccess: (restored) => {
              setRestoring(null);
              setPair(null);
              notify(`Restored as revision ${restored.revision}`);
            },
          })
        }
      >
        Its title and text become a new revision. The ones in between are kept.
      </ConfirmDialog>
    </div>
  );
}

function Comparison({ id, pair, latest, onChange }: { id: string; pair: { from: number; to: number }; latest: number; onChange: (pair: { from: number; to: number }) => void }) {
  const diff = useQuery(diffQuery(id, pair.from, pair.to));
  const numbers = Array.from({ length: latest }, (_, index) => latest - index);
  return (
    <section aria-label="Comparison" className="min-w-0">
      <div className="mb-5 grid max-w-md grid-cols-2 gap-4">
        <SelectField label="From revision" value={pair.from} onChange={(event) => onChange({ ...pair, from: Number(event.target.value) })}>
          {numbers.map((number) => <option key={number} value={number}>{number}</option>)}
        </SelectField>
        <SelectField label="To revision" value={pair.to} onChange={(event) => onChange({ ...pair, to: Number(event.target.value) })}>
          {numbers.map((number) => <option key={number} value={number}>{number}</option>)}
        </SelectField>
      </div>
      <QueryView query={diff}>{(data) => <DiffView diff={data} />}</QueryView>
    </section>
  );
}
