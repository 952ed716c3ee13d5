import { unwrap } from "@plasma/client/client";
import type { EnrolledLogin, LoginMethods, LoginResult, PasskeyCeremony, PendingLogin, TotpSetup } from "@plasma/client/types";
import { useMutation, useQueryClient } from "@tanstack/react-query";

import { api } from "@/data/api";
import { createPasskey, getPasskey } from "@/lib/webauthn";

/** The end of a login, or what it needs next. */
export type LoginAnswer = LoginResult | PendingLogin;

/** On the login page 401 is an answer, not the end of a session. */
const meta = { answers401: true };

/** A step of a login. When it ends the login, nothing of a former session may be seen in the new one. */
function useLoginStep<V>(step: (variables: V) => Promise<LoginAnswer>) {
  const queryClient = useQueryClient();
  return useMutation({ mutationFn: step, meta, onSuccess: () => queryClient.clear() });
}

export function useLoginMethods() {
  return useMutation({ mutationFn: (email: string): Promise<LoginMethods> => unwrap(api.POST("/api/v1/auth/methods", { body: { email } })), meta });
}

export function usePasswordLogin() {
  return useLoginStep((body: { email: string; password: string }) => unwrap<LoginAnswer>(api.POST("/api/v1/auth/login", { body })));
}

export function useTotpLogin() {
  return useLoginStep((body: { pending_token: string; code: string }) => unwrap<LoginAnswer>(api.POST("/api/v1/auth/totp", { body })));
}

export function useRecoveryCodeLogin() {
  return useLoginStep((body: { pending_token: string; code: string }) => unwrap<LoginAnswer>(api.POST("/api/v1/auth/recovery-code", { body })));
}

function passkeyChallenge(pendingToken: string | undefined): Promise<PasskeyCeremony> {
  return unwrap(api.POST("/api/v1/auth/passkey/options", { body: pendingToken ? { pending_token: pendingToken } : {} }));
}

/** Asks the browser for a passkey and logs in with it: with any, or for a login that needs a second factor. */
export async function loginWithPasskey(how: { pendingToken?: string; conditional?: boolean; signal?: AbortSignal }): Promise<LoginAnswer> {
  const { ceremony, options } = await passkeyChallenge(how.pendingToken);
  const credential = await getPasskey(options, how);
  const body = { ceremony, credential, ...(how.pendingToken && { pending_token: how.pendingToken }) };
  return unwrap<LoginAnswer>(api.POST("/api/v1/auth/passkey", { body }));
}

export function usePasskeyLogin() {
  return useLoginStep((pendingToken: string | undefined) => loginWithPasskey({ ...(pendingToken && { pendingToken }) }));
}

export function useRequestLoginLink() {
  return useMutation({ mutationFn: (body: { email: string; next: string }) => unwrap(api.POST("/api/v1/auth/magic-link", { body })), meta });
}

export function useLinkLogin() {
  return useLoginStep((token: string) => unwrap<LoginAnswer>(api.POST("/api/v1/auth/magic-link/redeem", { body: { token } })));
}

export function useRequestPasswordReset() {
  return useMutation({ mutationFn: (email: string) => unwrap(api.POST("/api/v1/auth/password-reset", { body: { email } })), meta });
}

export function useResetPassword() {
  return useMutation({ mutationFn: (body: { token: string; new_password: string }) => unwrap(api.POST("/api/v1/auth/password-reset/redeem", { body })), meta });
}

export function useEnrollTotp() {
  return useMutation({ mutationFn: (pendingToken: string): Promise<TotpSetup> => unwrap(api.POST("/api/v1/auth/enroll/totp", { body: { pending_token: pendingToken } })), meta });
}

export function useConfirmEnrolledTotp() {
  const queryClient = useQueryClient();
  return useMutation({
    onSuccess: () => queryClient.clear(),
    mutationFn: (body: { pending_token: string; code: string }): Promise<EnrolledLogin> => unwrap(api.POST("/api/v1/auth/enroll/totp/confirm", { body })),
    meta,
  });
}

export function useEnrollPasskey() {
  const queryClient = useQueryClient();
  return useMutation({
    onSuccess: () => queryClient.clear(),
    mutationFn: async ({ pendingToken, name }: { pendingToken: string; name: string }): Promise<EnrolledLogin> => {
      const { ceremony, options } = await unwrap(api.POST("/api/v1/auth/enroll/passkey/options", { body: { pending_token: pendingToken } }));
      const credential = await createPasskey(options);
      return unwrap(api.POST("/api/v1/auth/enroll/passkey", { body: { pending_token: pendingToken, name, ceremony, credential } }));
    },
    meta,
  });
}
