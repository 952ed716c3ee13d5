import { unwrap } from "@plasma/client/client";
import type { RouteSettings } from "@plasma/client/types";
import { useMutation, useQueryClient } from "@tanstack/react-query";

import { api } from "@/data/api";

import { routeKeys } from "./keys";

function useRefresh() {
  const queryClient = useQueryClient();
  return () => queryClient.invalidateQueries({ queryKey: routeKeys.all });
}

export function useSaveRoute() {
  return useMutation({
    mutationFn: ({ name, settings }: { name: string; settings: RouteSettings }) =>
      unwrap(api.PUT("/api/v1/routes/{name}", { params: { path: { name } }, body: settings })),
    onSuccess: useRefresh(),
  });
}

export function useDeleteRoute() {
  return useMutation({
    mutationFn: (name: string) => unwrap(api.DELETE("/api/v1/routes/{name}", { params: { path: { name } } })),
    onSuccess: useRefresh(),
  });
}
