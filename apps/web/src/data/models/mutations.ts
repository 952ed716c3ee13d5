import { unwrap } from "@plasma/client/client";
import type { Capability, GivenPrice, NewCustomModel, NewModel } from "@plasma/client/types";
import { useMutation, useQueryClient } from "@tanstack/react-query";

import { api } from "@/data/api";

import { modelKeys } from "./keys";

export function useAddModel() {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: (body: NewModel) => unwrap(api.POST("/api/v1/models", { body })),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: modelKeys.all }),
  });
}

export function useAddCustomModel() {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: (body: NewCustomModel) => unwrap(api.POST("/api/v1/models/custom", { body })),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: modelKeys.all }),
  });
}

export function useSetModelPrice() {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: ({ id, price }: { id: string; price: GivenPrice }) => unwrap(api.PUT("/api/v1/models/{id}/price", { params: { path: { id } }, body: price })),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: modelKeys.all }),
  });
}

export function useSetModelCapabilities() {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: ({ id, capabilities }: { id: string; capabilities: Capability[] | null }) =>
      unwrap(api.PUT("/api/v1/models/{id}/capabilities", { params: { path: { id } }, body: { capabilities } })),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: modelKeys.all }),
  });
}

export function useRemoveModel() {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => unwrap(api.DELETE("/api/v1/models/{id}", { params: { path: { id } } })),
    onSuccess: () => queryClient.invalidateQueries({ queryKey: modelKeys.all }),
  });
}
