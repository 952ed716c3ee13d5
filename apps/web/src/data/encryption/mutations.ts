import { unwrap } from "@plasma/client/client";
import { useMutation, useQueryClient } from "@tanstack/react-query";

import { api } from "@/data/api";

import { encryptionKeys } from "./keys";

function useRefresh() {
  const queryClient = useQueryClient();
  return () => queryClient.invalidateQueries({ queryKey: encryptionKeys.all });
}

export function useRotateDataKey() {
  return useMutation({ mutationFn: () => unwrap(api.POST("/api/v1/encryption/rotate", {})), onSuccess: useRefresh() });
}

export function useRotateInstallationKey() {
  return useMutation({ mutationFn: () => unwrap(api.POST("/api/v1/installation/encryption/rotate", {})), onSuccess: useRefresh() });
}

export function useRotateMasterKey() {
  return useMutation({ mutationFn: () => unwrap(api.POST("/api/v1/installation/encryption/rotate-master-key", {})), onSuccess: useRefresh() });
}

export function useRewrapDataKeys() {
  return useMutation({ mutationFn: () => unwrap(api.POST("/api/v1/installation/encryption/rewrap", {})), onSuccess: useRefresh() });
}

export function useForgetOldMasterKeys() {
  return useMutation({ mutationFn: () => unwrap(api.POST("/api/v1/installation/encryption/forget-old-master-keys", {})), onSuccess: useRefresh() });
}
