import { unwrap } from "@plasma/client/client";
import { useMutation, useQueryClient } from "@tanstack/react-query";

import { api } from "@/data/api";

import { linkedAccountKeys } from "./keys";

/** Answers where the browser goes on to log in to the account. */
export function useLinkAccount() {
  return useMutation({ mutationFn: (connection: string) => unwrap(api.POST("/api/v1/me/linked-accounts", { body: { connection } })) });
}

export function useUnlinkAccount() {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: (connection: string) => unwrap(api.DELETE("/api/v1/me/linked-accounts/{connection}", { params: { path: { connection } } })),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: linkedAccountKeys.all }),
  });
}
