import { unwrap } from "@plasma/client/client";

import { api } from "@/data/api";
import { cursorPages } from "@/data/pages";

import { grantKeys } from "./keys";

export const grantsQuery = cursorPages(grantKeys.all, (cursor, signal) =>
  unwrap(api.GET("/api/v1/me/grants", { params: { query: { cursor } }, signal })),
);
