import { unwrap } from "@plasma/client/client";

import { api } from "@/data/api";
import { cursorPages } from "@/data/pages";

import { userKeys } from "./keys";

export const usersQuery = cursorPages(userKeys.all, (cursor, signal) =>
  unwrap(api.GET("/api/v1/users", { params: { query: { cursor } }, signal })),
);
