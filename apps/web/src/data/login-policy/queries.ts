import { unwrap } from "@plasma/client/client";
import { queryOptions } from "@tanstack/react-query";

import { api } from "@/data/api";

import { loginPolicyKeys } from "./keys";

export const loginPolicyQuery = queryOptions({
  queryKey: loginPolicyKeys.policy,
  queryFn: ({ signal }) => unwrap(api.GET("/api/v1/security/login-policy", { signal })),
});
