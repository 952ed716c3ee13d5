import { unwrap } from "@plasma/client/client";
import type { NewDocument } from "@plasma/client/types";
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

export function useDeleteDocument(collection: string) {
  return useMutation({
    mutationFn: (id: string) =>
      unwrap(api.DELETE("/api/v1/collections/{id}/documents/{document_id}", { params: { path: { id: collection, document_id: id } } })),
    onSuccess: useRefresh(collection),
  });
}
