import { unwrap } from "@plasma/client/client";
import { useMutation, useQueryClient } from "@tanstack/react-query";

import { api } from "@/data/api";

import { loginSessionKeys } from "./keys";

function useEnding<V>(end: (variables: V) => Promise<unknown>) {
  const queryClient = useQueryClient();
  return useMutation({ mutationFn: end, onSuccess: () => queryClient.invalidateQueries({ queryKey: loginSessionKeys.all }) });
}

export function useEndMySession() {
  return useEnding((id: string) => unwrap(api.DELETE("/api/v1/me/sessions/{id}", { params: { path: { id } } })));
}

export function useEndMyOtherSessions() {
  return useEnding<undefined>(() => unwrap(api.DELETE("/api/v1/me/sessions")));
}

export function useEndSession() {
  return useEnding((id: string) => unwrap(api.DELETE("/api/v1/sessions/{id}", { params: { path: { id } } })));
}

export function useEndSessionsOf() {
  return useEnding((user: string) => unwrap(api.DELETE("/api/v1/users/{id}/sessions", { params: { path: { id: user } } })));
}
