import { unwrap } from "@plasma/client/client";
import type { Role } from "@plasma/client/types";
import { useMutation, useQueryClient } from "@tanstack/react-query";

import { api } from "@/data/api";
import { sessionKeys } from "@/data/session/keys";
import { tenantKeys } from "@/data/tenants/keys";

import { invitationKeys } from "./keys";

function useRefresh() {
  const queryClient = useQueryClient();
  return () => queryClient.invalidateQueries({ queryKey: invitationKeys.all });
}

export function useInvite() {
  return useMutation({
    mutationFn: (body: { email: string; role: Role }) => unwrap(api.POST("/api/v1/invitations", { body })),
    onSuccess: useRefresh(),
  });
}

export function useResendInvitation() {
  return useMutation({
    mutationFn: (id: string) => unwrap(api.POST("/api/v1/invitations/{id}/resend", { params: { path: { id } } })),
    onSuccess: useRefresh(),
  });
}

export function useRevokeInvitation() {
  return useMutation({
    mutationFn: (id: string) => unwrap(api.DELETE("/api/v1/invitations/{id}", { params: { path: { id } } })),
    onSuccess: useRefresh(),
  });
}

/** As somebody who is new here: makes the account and opens a session, as a sign-in does. */
export function useAcceptInvitation() {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: (body: { token: string; name: string; password: string }) => unwrap(api.POST("/api/v1/invitations/accept", { body })),
    meta: { answers401: true },
    onSuccess: () => queryClient.removeQueries({ queryKey: sessionKeys.me }),
  });
}

/** As somebody who is signed in already. */
export function useJoinByInvitation() {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: (token: string) => unwrap(api.POST("/api/v1/me/invitations", { body: { token } })),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: tenantKeys.mine }),
  });
}
