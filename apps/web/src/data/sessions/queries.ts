import { unwrap } from "@plasma/client/client";

import { api } from "@/data/api";
import { cursorPages } from "@/data/pages";

import { loginSessionKeys } from "./keys";

export const mySessionsQuery = cursorPages(loginSessionKeys.mine, (cursor, signal) =>
  unwrap(api.GET("/api/v1/me/sessions", { params: { query: { cursor } }, signal })),
);

export const sessionsQuery = cursorPages(loginSessionKeys.everybodys, (cursor, signal) =>
  unwrap(api.GET("/api/v1/sessions", { params: { query: { cursor } }, signal })),
);
