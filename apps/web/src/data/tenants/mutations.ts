import { unwrap } from "@plasma/client/client";
import { useMutation, useQueryClient } from "@tanstack/react-query";

import { api } from "@/data/api";
import { sessionKeys } from "@/data/session/keys";

/** The tenant itself is read with `me`; it has no query of its own. */
export function useRenameTenant() {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: ({ id, name }: { id: string; name: string }) => unwrap(api.PATCH("/api/v1/tenants/{id}", { params: { path: { id } }, body: { name } })),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: sessionKeys.me }),
  });
}
