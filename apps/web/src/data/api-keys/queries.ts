import { unwrap } from "@plasma/client/client";

import { api } from "@/data/api";
import { cursorPages } from "@/data/pages";

import { apiKeyKeys } from "./keys";

export const apiKeysQuery = cursorPages(apiKeyKeys.all, (cursor, signal) =>
  unwrap(api.GET("/api/v1/api-keys", { params: { query: { cursor } }, signal })),
);
