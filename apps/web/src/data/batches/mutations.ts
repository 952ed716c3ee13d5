import { unwrap } from "@plasma/client/client";
import type { Batch } from "@plasma/client/types";
import { useMutation, useQueryClient } from "@tanstack/react-query";

import { api } from "@/data/api";

import { batchKeys } from "./keys";
import { uploadBatchFile } from "./upload";

/** Characters of a note of a batch. */
const NOTE_CHARS_MAX = 512;

function useRefresh() {
  const queryClient = useQueryClient();
  return () => queryClient.invalidateQueries({ queryKey: batchKeys.all });
}

export interface BatchUpload {
  file: File;
  endpoint: Batch["endpoint"];
  onProgress: (sent: number, total: number) => void;
  signal: AbortSignal;
}

/** Sends the file and creates a batch of it, under the file's name. */
export function useAddBatch() {
  return useMutation({
    mutationFn: async ({ file, endpoint, onProgress, signal }: BatchUpload) => {
      const uploaded = await uploadBatchFile(file, { onProgress, signal });
      const metadata = { name: file.name.slice(0, NOTE_CHARS_MAX) };
      return unwrap(api.POST("/v1/batches", { body: { input_file_id: uploaded.id, endpoint, completion_window: "24h", metadata } }));
    },
    onSuccess: useRefresh(),
  });
}

export function useCancelBatch() {
  return useMutation({
    mutationFn: (id: string) => unwrap(api.POST("/v1/batches/{batch_id}/cancel", { params: { path: { batch_id: id } } })),
    onSuccess: useRefresh(),
  });
}
