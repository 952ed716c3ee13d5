import { unwrap } from "@plasma/client/client";
import type { DocumentAccess, NewDocument } from "@plasma/client/types";
import { useMutation, useQueryClient } from "@tanstack/react-query";

import { api } from "@/data/api";
import { collectionKeys } from "@/data/collections/keys";

import { documentKeys } from "./keys";

function useRefresh(collection: string) {
  const queryClient = useQueryClient();
  return async () => {
    await queryClient.invalidateQueries({ queryKey: documentKeys.lists(collection) });
    await queryClient.invalidateQueries({ queryKey: collectionKeys.detail(collection) });
  };
}

export function useAddText(collection: string) {
  return useMutation({
    mutationFn: (body: NewDocument) => unwrap(api.POST("/api/v1/collections/{id}/documents", { params: { path: { id: collection } }, body })),
    onSuccess: useRefresh(collection),
  });
}

export function useRetryDocument(collection: string) {
  return useMutation({
    mutationFn: (id: string) =>
      unwrap(api.POST("/api/v1/collections/{id}/documents/{document_id}/retry", { params: { path: { id: collection, document_id: id } } })),
    onSuccess: useRefresh(collection),
  });
}

/** Null opens the document to everybody who may search. */
export function useSetDocumentAccess(collection: string) {
  const queryClient = useQueryClient();
  const refresh = useRefresh(collection);
  return useMutation({
    mutationFn: ({ id, access }: { id: string; access: DocumentAccess | null }) =>
      unwrap(
        api.PATCH("/api/v1/collections/{id}/documents/{document_id}/access", {
          params: { path: { id: collection, document_id: id } },
          body: { access },
        }),
      ),
    onSuccess: async (saved) => {
      queryClient.setQueryData(documentKeys.detail(collection, saved.id), saved);
      await refresh();
    },
  });
}

export function useDeleteDocument(collection: string) {
  return useMutation({
    mutationFn: (id: string) =>
      unwrap(api.DELETE("/api/v1/collections/{id}/documents/{document_id}", { params: { path: { id: collection, document_id: id } } })),
    onSuccess: useRefresh(collection),
  });
}
