import { unwrap } from "@plasma/client/client";
import { useMutation, useQueryClient } from "@tanstack/react-query";

import { api } from "@/data/api";
import { createPasskey } from "@/lib/webauthn";

import { securityKeys } from "./keys";

/** A change of what the person has to sign in with. */
function useChange<V, T>(change: (variables: V) => Promise<T>) {
  const queryClient = useQueryClient();
  return useMutation({ mutationFn: change, onSuccess: () => queryClient.invalidateQueries({ queryKey: securityKeys.mine }) });
}

export function useBeginTotp() {
  return useMutation({ mutationFn: () => unwrap(api.POST("/api/v1/me/totp")) });
}

export function useConfirmTotp() {
  return useChange((code: string) => unwrap(api.POST("/api/v1/me/totp/confirm", { body: { code } })));
}

export function useRemoveTotp() {
  return useChange<undefined, unknown>(() => unwrap(api.DELETE("/api/v1/me/totp")));
}

export function useRenewRecoveryCodes() {
  return useChange<undefined, { recovery_codes: string[] }>(() => unwrap(api.POST("/api/v1/me/recovery-codes")));
}

export function useAddPasskey() {
  return useChange(async (name: string) => {
    const { ceremony, options } = await unwrap(api.POST("/api/v1/me/passkeys/options"));
    const credential = await createPasskey(options);
    return unwrap(api.POST("/api/v1/me/passkeys", { body: { name, ceremony, credential } }));
  });
}

export function useRenamePasskey() {
  return useChange(({ id, name }: { id: string; name: string }) => unwrap(api.PATCH("/api/v1/me/passkeys/{id}", { params: { path: { id } }, body: { name } })));
}

export function useRemovePasskey() {
  return useChange((id: string) => unwrap(api.DELETE("/api/v1/me/passkeys/{id}", { params: { path: { id } } })));
}

export function useResetFactors() {
  return useMutation({ mutationFn: (id: string) => unwrap(api.DELETE("/api/v1/users/{id}/factors", { params: { path: { id } } })) });
}
