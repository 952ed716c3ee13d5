import type { SearchRequest } from "@plasma/client/types";

export const searchKeys = { results: (request: SearchRequest) => ["search", request] as const };
