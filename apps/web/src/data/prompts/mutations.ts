import { unwrap } from "@plasma/client/client";
import type { ChatCompletion, NewPrompt, NewPromptVersion, PromptParameters, PromptRendering, PromptShare, RenderedMessage } from "@plasma/client/types";
import { useMutation, useQueryClient } from "@tanstack/react-query";

import { api } from "@/data/api";

import { promptKeys } from "./keys";

function useRefresh() {
  const queryClient = useQueryClient();
  return () => queryClient.invalidateQueries({ queryKey: promptKeys.all });
}

export function useAddPrompt() {
  return useMutation({
    mutationFn: (prompt: NewPrompt) => unwrap(api.POST("/api/v1/prompts", { body: prompt })),
    onSuccess: useRefresh(),
  });
}

export function useDeletePrompt() {
  const queryClient = useQueryClient();
  return useMutation({
    mutationFn: (name: string) => unwrap(api.DELETE("/api/v1/prompts/{name}", { params: { path: { name } } })),
    onSuccess: (_, name) => {
      // Another prompt may get its name, and then versions of its own.
      for (const key of ["prompt-version", "prompt-diff"]) queryClient.removeQueries({ queryKey: [key, name] });
      queryClient.removeQueries({ queryKey: promptKeys.detail(name) });
      return queryClient.invalidateQueries({ queryKey: promptKeys.list });
    },
  });
}

export function useAddPromptVersion(name: string) {
  return useMutation({
    mutationFn: (version: NewPromptVersion) =>
      unwrap(api.POST("/api/v1/prompts/{name}/versions", { params: { path: { name } }, body: version })),
    onSuccess: useRefresh(),
  });
}

export function useSavePromptAlias(name: string) {
  return useMutation({
    mutationFn: ({ alias, split }: { alias: string; split: PromptShare[] }) =>
      unwrap(api.PUT("/api/v1/prompts/{name}/aliases/{alias}", { params: { path: { name, alias } }, body: { split } })),
    onSuccess: useRefresh(),
  });
}

export function useDeletePromptAlias(name: string) {
  return useMutation({
    mutationFn: (alias: string) =>
      unwrap(api.DELETE("/api/v1/prompts/{name}/aliases/{alias}", { params: { path: { name, alias } } })),
    onSuccess: useRefresh(),
  });
}

export function useRenderPrompt(name: string) {
  return useMutation({
    mutationFn: (rendering: PromptRendering) =>
      unwrap(api.POST("/api/v1/prompts/{name}/render", { params: { path: { name } }, body: rendering })),
  });
}

export interface Trial {
  model: string;
  messages: RenderedMessage[];
  parameters: PromptParameters;
}

/** Asks a model with messages that were rendered, as a call would. */
export function useTryPrompt() {
  return useMutation({
    mutationFn: async ({ model, messages, parameters }: Trial): Promise<ChatCompletion> => {
      const { max_tokens, temperature, top_p, stop } = parameters;
      return await unwrap(
        api.POST("/v1/chat/completions", {
          body: {
            model,
            messages,
            ...(max_tokens != null && { max_tokens }),
            ...(temperature != null && { temperature }),
            ...(top_p != null && { top_p }),
            ...(stop && stop.length > 0 && { stop }),
          },
        }),
      ) as ChatCompletion;
    },
  });
}
