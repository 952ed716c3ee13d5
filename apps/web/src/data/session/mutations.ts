import { unwrap } from "@plasma/client/client";
import { useMutation, useQueryClient } from "@tanstack/react-query";

import { api } from "@/data/api";

import { sessionKeys } from "./keys";

/** Answers where the browser ends its session at the identity provider, if it began at one. */
export function useLogout() {
  return useMutation({ mutationFn: () => unwrap(api.POST("/api/v1/auth/sso/logout")) });
}

export function useUpdateProfile() {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: (body: { name: string }) => unwrap(api.PATCH("/api/v1/me", { body })),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: sessionKeys.me }),
  });
}

export function useChangePassword() {
  return useMutation({
    mutationFn: (body: { current_password: string; new_password: string }) => unwrap(api.POST("/api/v1/me/password", { body })),
    meta: { answers401: true },
  });
}
