import { unwrap } from "@plasma/client/client";
import { queryOptions } from "@tanstack/react-query";

import { api } from "@/data/api";

import { complianceKeys } from "./keys";

/** Which security controls are met, by the last test run that the server knows. */
export const complianceQuery = queryOptions({
  queryKey: complianceKeys.report,
  queryFn: ({ signal }) => unwrap(api.GET("/api/v1/compliance", { signal })),
});
