import { unwrap } from "@plasma/client/client";
import type { ApplicationChange, NewApplication } from "@plasma/client/types";
import { useMutation, useQueryClient } from "@tanstack/react-query";

import { api } from "@/data/api";

import { applicationKeys } from "./keys";

function useRefresh() {
  const queryClient = useQueryClient();
  return () => queryClient.invalidateQueries({ queryKey: applicationKeys.all });
}

export function useCreateApplication() {
  const onSuccess = useRefresh();
  return useMutation({
    mutationFn: (body: NewApplication) => unwrap(api.POST("/api/v1/applications", { body })),
    onSuccess,
  });
}

export function useUpdateApplication() {
  const onSuccess = useRefresh();
  return useMutation({
    mutationFn: ({ id, ...body }: ApplicationChange & { id: string }) => unwrap(api.PATCH("/api/v1/applications/{id}", { params: { path: { id } }, body })),
    onSuccess,
  });
}

export function useDeleteApplication() {
  const onSuccess = useRefresh();
  return useMutation({
    mutationFn: (id: string) => unwrap(api.DELETE("/api/v1/applications/{id}", { params: { path: { id } } })),
    onSuccess,
  });
}

export function useRotateApplicationSecret() {
  const onSuccess = useRefresh();
  return useMutation({
    mutationFn: ({ id, overlapSeconds }: { id: string; overlapSeconds: number }) =>
      unwrap(api.POST("/api/v1/applications/{id}/secrets", { params: { path: { id } }, body: { overlap_seconds: overlapSeconds } })),
    onSuccess,
  });
}
