import { unwrap } from "@plasma/client/client";
import { useMutation, useQueryClient } from "@tanstack/react-query";

import { api } from "@/data/api";

import { aliasKeys } from "./keys";

function useRefresh() {
  const queryClient = useQueryClient();
  return () => queryClient.invalidateQueries({ queryKey: aliasKeys.all });
}

export function useSaveAlias() {
  return useMutation({
    mutationFn: ({ name, target }: { name: string; target: string }) =>
      unwrap(api.PUT("/api/v1/models/aliases/{name}", { params: { path: { name } }, body: { target } })),
    onSuccess: useRefresh(),
  });
}

export function useDeleteAlias() {
  return useMutation({
    mutationFn: (name: string) => unwrap(api.DELETE("/api/v1/models/aliases/{name}", { params: { path: { name } } })),
    onSuccess: useRefresh(),
  });
}
