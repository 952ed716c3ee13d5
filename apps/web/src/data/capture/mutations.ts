import { unwrap } from "@plasma/client/client";
import type { CaptureSettings } from "@plasma/client/types";
import { useMutation, useQueryClient } from "@tanstack/react-query";

import { api } from "@/data/api";

import { captureKeys } from "./keys";

export function useSaveCapture() {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: (settings: CaptureSettings) => unwrap(api.PUT("/api/v1/models/capture", { body: settings })),
    onSuccess: (settings) => queryClient.setQueryData(captureKeys.settings, settings),
  });
}

export function useDeletePayload() {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => unwrap(api.DELETE("/api/v1/models/calls/{id}/payload", { params: { path: { id } } })),
    onSuccess: (_, id) => queryClient.setQueryData(captureKeys.payload(id), null),
  });
}
