import { unwrap } from "@plasma/client/client";
import { queryOptions } from "@tanstack/react-query";

import { api } from "@/data/api";

export const stepUpOptionsQuery = queryOptions({
  queryKey: ["me", "step-up"],
  queryFn: ({ signal }) => unwrap(api.GET("/api/v1/auth/step-up", { signal })),
  // What somebody can prove it with may have changed on this very page.
  staleTime: 0,
});
