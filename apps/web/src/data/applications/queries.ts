import { unwrap } from "@plasma/client/client";

import { api } from "@/data/api";
import { cursorPages } from "@/data/pages";

import { applicationKeys } from "./keys";

export const applicationsQuery = cursorPages(applicationKeys.all, (cursor, signal) =>
  unwrap(api.GET("/api/v1/applications", { params: { query: { cursor } }, signal })),
);
