"use client";

import type { Limit } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useState } from "react";

import { useDeleteLimit } from "@/data/limits/mutations";
import { limitsQuery } from "@/data/limits/queries";
import { formatCount } from "@/lib/format";
import { Button } from "@/ui/button";
import { ConfirmDialog } from "@/ui/confirm-dialog";
import { EmptyState, QueryView } from "@/ui/query-view";

import { LimitDialog } from "./limit-dialog";
import { SubjectName } from "./subject-name";

/** How fast calls may come. */
export function LimitsSection({ denied }: { denied: string | null }) {
  const limits = useQuery(limitsQuery);
  const remove = useDeleteLimit();
  const [editing, setEditing] = useState<Limit | "new" | null>(null);
  const [removing, setRemoving] = useState<Limit | null>(null);
  const add = (
    <Button small icon={<Plus aria-hidden className="size-4" />} reason={denied} onClick={() => setEditing("new")}>Set a limit</Button>
  );
  return (
    <section className="mt-12" aria-labelledby="limits">
      <div className="mb-3 flex flex-wrap items-center justify-between gap-3">
        <h2 id="limits" className="font-serif text-[1.375rem] font-medium tracking-tight">Limits</h2>
        {limits.data && limits.data.length > 0 && add}
      </div>
      <QueryView query={limits} isEmpty={(data) => data.length === 0} empty={<EmptyState title="No limit set" action={add}>Calls may come as fast as the models answer.</EmptyState>}>
        {(data) => (
          <ul className="border-t border-rule-strong">
            {data.map((limit) => (
              <li key={limit.id} className="flex flex-wrap items-start justify-between gap-x-6 gap-y-3 border-b border-rule py-5">
                <div className="min-w-0">
                  <p className="text-[1.0625rem] font-medium first-letter:uppercase"><SubjectName subject={limit.subject} /></p>
                  <p className="mt-1 text-[0.875rem] text-soft tabular-nums">{limitText(limit)}</p>
                </div>
                <div className="flex flex-wrap gap-2">
                  <Button small reason={denied} onClick={() => setEditing(limit)}>Change</Button>
                  <Button small variant="danger" reason={denied} onClick={() => setRemoving(limit)}>Remove</Button>
                </div>
              </li>
            ))}
          </ul>
        )}
      </QueryView>
      <LimitDialog limit={editing} onClose={() => setEditing(null)} />
      <ConfirmDialog
        open={removing !== null}
        onOpenChange={(open) => !open && setRemoving(null)}
        title="Remove this limit?"
        action="Remove limit"
        busy={remove.isPending}
        error={remove.error}
        onConfirm={() => removing && remove.mutate(removing.id, { onSuccess: () => setRemoving(null) })}
      >
        Calls that wait for a place come in at once.
      </ConfirmDialog>
    </section>
  );
}

function limitText({ requests_per_minute, tokens_per_minute, concurrency }: Limit): string {
  return [
    requests_per_minute === null ? null : `${formatCount(requests_per_minute)} calls a minute`,
    tokens_per_minute === null ? null : `${formatCount(tokens_per_minute)} tokens a minute`,
    concurrency === null ? null : `${formatCount(concurrency)} at a time`,
  ].filter(Boolean).join(", ");
}
