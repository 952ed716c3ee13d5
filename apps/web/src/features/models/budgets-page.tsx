"use client";

import type { Budget } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useState } from "react";

import { useDeleteBudget } from "@/data/budgets/mutations";
import { budgetsQuery } from "@/data/budgets/queries";
import { useDenied } from "@/features/identity/session";
import { Button } from "@/ui/button";
import { ConfirmDialog } from "@/ui/confirm-dialog";
import { PageHeader } from "@/ui/page-header";
import { EmptyState, QueryView } from "@/ui/query-view";

import { BudgetBar } from "./budget-bar";
import { BudgetDialog } from "./budget-dialog";
import { LimitsSection } from "./limits-section";
import { ModelTabs } from "./model-tabs";

export function BudgetsPage() {
  const budgets = useQuery(budgetsQuery);
  const denied = useDenied("models:write");
  const remove = useDeleteBudget();
  const [editing, setEditing] = useState<Budget | "new" | null>(null);
  const [removing, setRemoving] = useState<Budget | null>(null);
  const add = (
    <Button variant="primary" icon={<Plus aria-hidden className="size-4" />} reason={denied} onClick={() => setEditing("new")}>Set a budget</Button>
  );
  return (
    <>
      <PageHeader title="Budgets and limits" lead="What calls of models may cost, and how fast they may come. A call sets its worst case aside before it starts; what would pass a budget is refused." actions={add} />
      <ModelTabs current="/models/budgets/" />
      <QueryView query={budgets} isEmpty={(data) => data.length === 0} empty={<EmptyState title="No budget set" action={add}>Calls may cost any amount. Local models cost nothing.</EmptyState>}>
        {(data) => (
          <ul className="border-t border-rule-strong">
            {data.map((budget) => (
              <BudgetRow key={budget.id} budget={budget} denied={denied} onEdit={() => setEditing(budget)} onRemove={() => setRemoving(budget)} />
            ))}
          </ul>
        )}
      </QueryView>
      <LimitsSection denied={denied} />
      <BudgetDialog budget={editing} onClose={() => setEditing(null)} />
      <ConfirmDialog
        open={removing !== null}
        onOpenChange={(open) => !open && setRemoving(null)}
        title="Remove this budget?"
        action="Remove budget"
        busy={remove.isPending}
        error={remove.error}
        onConfirm={() => removing && remove.mutate(removing.id, { onSuccess: () => setRemoving(null) })}
      >
        Calls are then no longer held to it. Records of past calls stay.
      </ConfirmDialog>
    </>
  );
}

function BudgetRow({ budget, denied, onEdit, onRemove }: { budget: Budget; denied: string | null; onEdit: () => void; onRemove: () => void }) {
  return (
    <li className="border-b border-rule py-5">
      <div className="flex flex-wrap items-start justify-between gap-x-6 gap-y-3">
        <div className="min-w-0 grow">
          <BudgetBar budget={budget} />
        </div>
        <div className="flex flex-wrap gap-2">
          <Button small reason={denied} onClick={onEdit}>Change</Button>
          <Button small variant="danger" reason={denied} onClick={onRemove}>Remove</Button>
        </div>
      </div>
    </li>
  );
}
