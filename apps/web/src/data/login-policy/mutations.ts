import { unwrap } from "@plasma/client/client";
import type { NewLoginPolicy } from "@plasma/client/types";
import { useMutation, useQueryClient } from "@tanstack/react-query";

import { api } from "@/data/api";

import { loginPolicyKeys } from "./keys";

export function usePutLoginPolicy() {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: (body: NewLoginPolicy) => unwrap(api.PUT("/api/v1/security/login-policy", { body })),
    onSuccess: (policy) => queryClient.setQueryData(loginPolicyKeys.policy, policy),
  });
}
