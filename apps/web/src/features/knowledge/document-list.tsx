"use client";

import type { DocumentState, KnowledgeDocument } from "@plasma/client/types";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";

import { documentsQuery } from "@/data/documents/queries";
import { useDeleteDocument } from "@/data/documents/mutations";
import { usePollingMs } from "@/live/live-provider";
import { ConfirmDialog } from "@/ui/confirm-dialog";
import { LoadMore } from "@/ui/load-more";
import { EmptyState, QueryView } from "@/ui/query-view";
import { Segmented } from "@/ui/segmented";

import { DocumentRow } from "./document-row";
import { isUnfinished } from "./document-state";

type StateFilter = "all" | "ready" | "failed";

const FILTERS: { value: StateFilter; label: string }[] = [
  { value: "all", label: "All" },
  { value: "ready", label: "Ready" },
  { value: "failed", label: "Failed" },
];

export function DocumentList({ collection, denied }: { collection: string; denied: string | null }) {
  const [filter, setFilter] = useState<StateFilter>("all");
  const [deleting, setDeleting] = useState<KnowledgeDocument | null>(null);
  const pollingMs = usePollingMs();
  const state: DocumentState | null = filter === "all" ? null : filter;
  const documents = useInfiniteQuery({
    ...documentsQuery(collection, state),
    // While something is being ingested the list is asked for again; slower when the live connection tells the same.
    refetchInterval: (query) => (query.state.data?.pages.some((page) => page.data.some((document) => isUnfinished(document.state))) ? pollingMs : false),
  });
  const remove = useDeleteDocument(collection);
  return (
    <>
      <div className="mb-3 flex items-center justify-end">
        <Segmented small label="Show documents" value={filter} options={FILTERS} onChange={setFilter} />
      </div>
      <QueryView
        query={documents}
        isEmpty={(data) => data.length === 0}
        empty={
          filter === "all" ? (
            <EmptyState title="Nothing on this shelf yet">Drop files anywhere on this page, choose them above, or add a text.</EmptyState>
          ) : (
            <EmptyState title={filter === "failed" ? "No document failed" : "No document is ready"} />
          )
        }
      >
        {(data) => (
          <>
            <ul aria-label="Documents" className="border-t border-rule-strong">
              {data.map((document) => (
                <DocumentRow key={document.id} document={document} denied={denied} onDelete={() => setDeleting(document)} />
              ))}
            </ul>
            <LoadMore query={documents} />
          </>
        )}
      </QueryView>
      <ConfirmDialog
        open={deleting !== null}
        onOpenChange={(open) => !open && setDeleting(null)}
        title="Delete this document?"
        action="Delete document"
        busy={remove.isPending}
        error={remove.error}
        onConfirm={() => deleting && remove.mutate(deleting.id, { onSuccess: () => setDeleting(null) })}
      >
        “{deleting?.title}” and its passages leave the search at once. This cannot be undone.
      </ConfirmDialog>
    </>
  );
}
