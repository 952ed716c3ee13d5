"use client";

import type { ModelAlias } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useState } from "react";

import { useDeleteAlias } from "@/data/aliases/mutations";
import { aliasesQuery } from "@/data/aliases/queries";
import { useDenied } from "@/features/identity/session";
import { Button } from "@/ui/button";
import { ConfirmDialog } from "@/ui/confirm-dialog";
import { EmptyState, QueryView } from "@/ui/query-view";

import { AliasDialog } from "./alias-dialog";

/** Other names of models and routes. */
export function AliasesSection() {
  const aliases = useQuery(aliasesQuery);
  const denied = useDenied("models:write");
  const remove = useDeleteAlias();
  const [editing, setEditing] = useState<ModelAlias | "new" | null>(null);
  const [removing, setRemoving] = useState<ModelAlias | null>(null);
  const add = <Button icon={<Plus aria-hidden className="size-4" />} reason={denied} onClick={() => setEditing("new")}>Add an alias</Button>;
  return (
    <section className="mt-12" aria-labelledby="aliases">
      <div className="mb-3 flex flex-wrap items-baseline justify-between gap-3">
        <h2 id="aliases" className="font-serif text-[1.375rem] font-medium tracking-tight">Aliases</h2>
        {aliases.data && aliases.data.length > 0 && add}
      </div>
      <QueryView query={aliases} isEmpty={(data) => data.length === 0} empty={<EmptyState title="No alias yet" action={add}>An alias is another name of a model or a route. Callers keep it while you change what answers.</EmptyState>}>
        {(data) => (
          <ul className="border-t border-rule-strong">
            {data.map((alias) => (
              <li key={alias.name} className="flex flex-wrap items-center justify-between gap-x-6 gap-y-2 border-b border-rule py-4">
                <p className="min-w-0 break-all">
                  <span className="figure text-[1rem]">{alias.name}</span> <span className="text-soft">stands for</span> <span className="figure">{alias.target}</span>
                </p>
                <div className="flex flex-wrap gap-2">
                  <Button small reason={denied} onClick={() => setEditing(alias)}>Edit<span className="sr-only"> {alias.name}</span></Button>
                  <Button small variant="danger" reason={denied} onClick={() => setRemoving(alias)}>Remove<span className="sr-only"> {alias.name}</span></Button>
                </div>
              </li>
            ))}
          </ul>
        )}
      </QueryView>
      <AliasDialog alias={editing} onClose={() => setEditing(null)} />
      <ConfirmDialog
        open={removing !== null}
        onOpenChange={(open) => !open && setRemoving(null)}
        title={`Remove ${removing?.name ?? ""}?`}
        action="Remove alias"
        busy={remove.isPending}
        error={remove.error}
        onConfirm={() => removing && remove.mutate(removing.name, { onSuccess: () => setRemoving(null) })}
      >
        Requests that name it are refused from then on. What it stands for stays.
      </ConfirmDialog>
    </section>
  );
}
