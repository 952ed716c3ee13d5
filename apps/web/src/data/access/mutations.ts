import { unwrap } from "@plasma/client/client";
import type { AccessQuestion } from "@plasma/client/types";
import { useMutation } from "@tanstack/react-query";

import { api } from "@/data/api";

/** "May X do Y?" Nothing changes by asking. */
export function useExplainAccess() {
  return useMutation({
    mutationFn: (body: AccessQuestion) => unwrap(api.POST("/api/v1/access/explain", { body })),
  });
}
