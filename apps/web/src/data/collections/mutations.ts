import { unwrap } from "@plasma/client/client";
import type { Collection, PlacementChoice, RankingSettings } from "@plasma/client/types";
import { useMutation, useQueryClient } from "@tanstack/react-query";

import { api } from "@/data/api";

import { collectionKeys } from "./keys";

export function useSaveCollection() {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: ({ id, ...body }: { id: string | null; name: string; description: string; language?: string; fields: Collection["fields"] }) =>
      id === null
        ? unwrap(api.POST("/api/v1/collections", { body }))
        : unwrap(api.PATCH("/api/v1/collections/{id}", { params: { path: { id } }, body })),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: collectionKeys.all }),
  });
}

/** How a collection's results are ranked where a search does not say. */
export function useSaveRanking() {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: ({ id, ranking }: { id: string; ranking: RankingSettings }) =>
      unwrap(api.PATCH("/api/v1/collections/{id}", { params: { path: { id } }, body: { ranking } })),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: collectionKeys.all }),
  });
}

export function useSetRecallTarget() {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: ({ id, recall_target }: { id: string; recall_target: number }) =>
      unwrap(api.PATCH("/api/v1/collections/{id}", { params: { path: { id } }, body: { recall_target } })),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: collectionKeys.all }),
  });
}

export function useDeleteCollection() {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => unwrap(api.DELETE("/api/v1/collections/{id}", { params: { path: { id } } })),
    onSuccess: async (_, id) => {
      queryClient.removeQueries({ queryKey: collectionKeys.detail(id) });
      await queryClient.invalidateQueries({ queryKey: collectionKeys.list });
      await queryClient.invalidateQueries({ queryKey: collectionKeys.choices });
    },
  });
}

export function useReembed(id: string) {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: (model: string) => unwrap(api.POST("/api/v1/collections/{id}/reembed", { params: { path: { id } }, body: { model } })),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: collectionKeys.all }),
  });
}

export function useCancelReembedding(id: string) {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: () => unwrap(api.DELETE("/api/v1/collections/{id}/reembed", { params: { path: { id } } })),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: collectionKeys.all }),
  });
}

/** Begins to move a collection's vectors; null is the processes' own indexes. */
export function useMoveCollection(id: string) {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: (placement: PlacementChoice | null) =>
      unwrap(api.PATCH("/api/v1/collections/{id}", { params: { path: { id } }, body: { placement } })),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: collectionKeys.placement(id) }),
  });
}

export function useCancelMove(id: string) {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: () => unwrap(api.DELETE("/api/v1/collections/{id}/placement/move", { params: { path: { id } } })),
    onSuccess: (placement) => queryClient.setQueryData(collectionKeys.placement(id), placement),
  });
}
