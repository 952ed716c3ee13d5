import { unwrap } from "@plasma/client/client";
import type { SynonymSets } from "@plasma/client/types";
import { useMutation, useQueryClient } from "@tanstack/react-query";

import { api } from "@/data/api";

import { synonymKeys } from "./keys";

export function useSaveSynonyms(collection: string) {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: (body: SynonymSets) => unwrap(api.PUT("/api/v1/collections/{id}/synonyms", { params: { path: { id: collection } }, body })),
    onSuccess: (saved) => {
      queryClient.setQueryData(synonymKeys.detail(collection), saved);
      // Searches that were answered before know nothing of them.
      void queryClient.invalidateQueries({ queryKey: ["search"] });
    },
  });
}
