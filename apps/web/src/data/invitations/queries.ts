import { unwrap } from "@plasma/client/client";
import { queryOptions } from "@tanstack/react-query";

import { api } from "@/data/api";
import { cursorPages } from "@/data/pages";

import { invitationKeys } from "./keys";

export const invitationsQuery = cursorPages(invitationKeys.all, (cursor, signal) =>
  unwrap(api.GET("/api/v1/invitations", { params: { query: { cursor } }, signal })),
);

/** A POST, so that the token stands in no log of addresses. */
export const invitationPreviewQuery = (token: string) =>
  queryOptions({
    queryKey: invitationKeys.preview(token),
    queryFn: ({ signal }) => unwrap(api.POST("/api/v1/invitations/preview", { body: { token }, signal })),
    staleTime: Infinity,
  });
