import { unwrap } from "@plasma/client/client";
import type { AuthorizationParameters } from "@plasma/client/types";
import { useMutation } from "@tanstack/react-query";

import { api } from "@/data/api";

/** Answers with the address to which the browser goes next. */
export function useDecideAuthorization() {
  return useMutation({
    mutationFn: (body: { request: AuthorizationParameters; allow: boolean }) => unwrap(api.POST("/api/v1/oauth/authorization-requests", { body })),
  });
}

/** A mutation and no query: each code that is typed counts. */
export function useFindDeviceRequest() {
  return useMutation({
    mutationFn: (userCode: string) => unwrap(api.POST("/api/v1/oauth/device-requests", { body: { user_code: userCode } })),
  });
}

export function useDecideDevice() {
  return useMutation({
    mutationFn: ({ userCode, allow }: { userCode: string; allow: boolean }) =>
      unwrap(api.POST("/api/v1/oauth/device-decisions", { body: { user_code: userCode, allow } })),
  });
}
