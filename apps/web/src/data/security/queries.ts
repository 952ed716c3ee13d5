import { unwrap } from "@plasma/client/client";
import { queryOptions } from "@tanstack/react-query";

import { api } from "@/data/api";

import { securityKeys } from "./keys";

export const mySecurityQuery = queryOptions({
  queryKey: securityKeys.mine,
  queryFn: ({ signal }) => unwrap(api.GET("/api/v1/me/security", { signal })),
});
