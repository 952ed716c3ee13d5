import { unwrap } from "@plasma/client/client";
import type { ContentDocument } from "@plasma/client/types";
import { useMutation, useQueryClient } from "@tanstack/react-query";

import { api } from "@/data/api";

import { contentKeys } from "./keys";

function useStore() {
  const queryClient = useQueryClient();
  return (document: ContentDocument) => {
    queryClient.setQueryData(contentKeys.detail(document.id), document);
    void queryClient.invalidateQueries({ queryKey: contentKeys.list });
    void queryClient.invalidateQueries({ queryKey: contentKeys.revisions(document.id) });
  };
}

export function useCreateContent() {
  return useMutation({
    mutationFn: (body: { title: string; body: string }) => unwrap(api.POST("/api/v1/content/documents", { body })),
    onSuccess: useStore(),
  });
}

export interface ContentSave {
  title: string;
  body: string;
  expected_revision: number;
  note?: string;
}

export function useSaveContent(id: string) {
  return useMutation({
    mutationFn: (body: ContentSave) => unwrap(api.PUT("/api/v1/content/documents/{id}", { params: { path: { id } }, body })),
    onSuccess: useStore(),
  });
}

export function useRestoreRevision(id: string) {
  return useMutation({
    mutationFn: (revision: number) => unwrap(api.POST("/api/v1/content/documents/{id}/restore", { params: { path: { id } }, body: { revision } })),
    onSuccess: useStore(),
  });
}

export function useDeleteContent() {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => unwrap(api.DELETE("/api/v1/content/documents/{id}", { params: { path: { id } } })),
    onSuccess: async (_, id) => {
      queryClient.removeQueries({ queryKey: contentKeys.detail(id) });
      await queryClient.invalidateQueries({ queryKey: contentKeys.list });
    },
  });
}
