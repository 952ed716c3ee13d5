"use client";

import type { Route } from "@plasma/client/types";
import { useQuery } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useState } from "react";

import { useDeleteRoute } from "@/data/routes/mutations";
import { routesQuery } from "@/data/routes/queries";
import { useDenied } from "@/features/identity/session";
import { Badge } from "@/ui/badge";
import { Button } from "@/ui/button";
import { ConfirmDialog } from "@/ui/confirm-dialog";
import { PageHeader } from "@/ui/page-header";
import { EmptyState, QueryView } from "@/ui/query-view";

import { AliasesSection } from "./aliases-section";
import { durationText } from "./cache-duration";
import { CACHE_MODES } from "./cache-labels";
import { CacheSection } from "./cache-section";
import { capabilitiesText } from "./capabilities";
import { ModelTabs } from "./model-tabs";
import { RouteDialog } from "./route-dialog";
import { STRATEGIES } from "./route-strategies";

export function RoutesPage() {
  const routes = useQuery(routesQuery);
  const denied = useDenied("models:write");
  const remove = useDeleteRoute();
  const [editing, setEditing] = useState<Route | "new" | null>(null);
  const [removing, setRemoving] = useState<Route | null>(null);
  const add = (
    <Button variant="primary" icon={<Plus aria-hidden className="size-4" />} reason={denied} onClick={() => setEditing("new")}>Add a route</Button>
  );
  return (
    <>
      <PageHeader title="Routes" lead="A route is called like a model and chooses one: by order, weight, cost or latency. When one fails before its first token, the next is asked." actions={add} />
      <ModelTabs current="/models/routes/" />
      <QueryView query={routes} isEmpty={(data) => data.length === 0} empty={<EmptyState title="No route yet" action={add}>Models are then called by their own names only.</EmptyState>}>
        {(data) => (
          <ul className="border-t border-rule-strong">
            {data.map((route) => (
              <RouteRow key={route.name} route={route} denied={denied} onEdit={() => setEditing(route)} onRemove={() => setRemoving(route)} />
            ))}
          </ul>
        )}
      </QueryView>
      <AliasesSection />
      <CacheSection />
      <RouteDialog route={editing} onClose={() => setEditing(null)} />
      <ConfirmDialog
        open={removing !== null}
        onOpenChange={(open) => !open && setRemoving(null)}
        title={`Remove ${removing?.name ?? ""}?`}
        action="Remove route"
        busy={remove.isPending}
        error={remove.error}
        onConfirm={() => removing && remove.mutate(removing.name, { onSuccess: () => setRemoving(null) })}
      >
        Requests that name it are refused from then on. A route that exists by default is then as it was in the beginning.
      </ConfirmDialog>
    </>
  );
}

function RouteRow({ route, denied, onEdit, onRemove }: { route: Route; denied: string | null; onEdit: () => void; onRemove: () => void }) {
  const { settings } = route;
  const strategy = STRATEGIES[settings.strategy];
  const candidates = settings.candidates ?? [];
  return (
    <li className="border-b border-rule py-5">
      <div className="flex flex-wrap items-start justify-between gap-x-6 gap-y-3">
        <div className="min-w-0">
          <p className="flex flex-wrap items-baseline gap-x-3 gap-y-1">
            <span className="figure text-[1.125rem] break-all">{route.name}</span>
            {route.built_in && <Badge tone="plain">by default</Badge>}
            {settings.residency === "private" && <Badge tone="good">stays on this machine</Badge>}
          </p>
          <p className="mt-1 text-[0.875rem] text-soft">{strategy.label}. {strategy.about}</p>
          <p className="figure mt-1 text-[0.875rem] break-words text-faint">
            {candidates.length === 0 ? "every chat model" : candidates.map((candidate) => (settings.strategy === "weighted" ? `${candidate.model} (${candidate.weight})` : candidate.model)).join(", ")}
          </p>
          {settings.requires && settings.requires.length > 0 && <p className="mt-1 text-[0.875rem] text-soft">Requires: {capabilitiesText(settings.requires)}.</p>}
          {settings.cache?.mode && settings.cache.mode !== "off" && (
            <p className="mt-1 text-[0.875rem] text-soft">Answers are given again {CACHE_MODES[settings.cache.mode].label.toLowerCase()}, for {durationText(settings.cache.ttl_seconds ?? 3_600)}.</p>
          )}
        </div>
        <div className="flex flex-wrap gap-2">
          <Button small reason={denied} onClick={onEdit}>Edit</Button>
          {!route.built_in && <Button small variant="danger" reason={denied} onClick={onRemove}>Remove</Button>}
        </div>
      </div>
    </li>
  );
}
