"use client";

import type { Collection } from "@plasma/client/types";

import { useDeleteCollection } from "@/data/collections/mutations";
import { plural } from "@/lib/format";
import { ConfirmDialog } from "@/ui/confirm-dialog";

export function DeleteCollectionDialog({ collection, open, onOpenChange, onDeleted }: {
  collection: Collection;
  open: boolean;
  onOpenChange: (open: boolean) => void;
  onDeleted: () => void;
}) {
  const remove = useDeleteCollection();
  return (
    <ConfirmDialog
      open={open}
      onOpenChange={onOpenChange}
      title={`Delete “${collection.name}”?`}
      action="Delete collection"
      busy={remove.isPending}
      error={remove.error}
      onConfirm={() => remove.mutate(collection.id, { onSuccess: onDeleted })}
    >
      Its {plural(collection.document_count, "document")} and {plural(collection.chunk_count, "passage")} are deleted with it. Drafts keep the
      quotes they cite, but their links lead nowhere. This cannot be undone.
    </ConfirmDialog>
  );
}
