import { unwrap } from "@plasma/client/client";
import type { DocumentState } from "@plasma/client/types";
import { queryOptions } from "@tanstack/react-query";

import { api } from "@/data/api";
import { cursorPages } from "@/data/pages";

import { documentKeys } from "./keys";

export const documentsQuery = (collection: string, state: DocumentState | null) =>
  cursorPages(documentKeys.list(collection, state), (cursor, signal) =>
    unwrap(
      api.GET("/api/v1/collections/{id}/documents", {
        params: { path: { id: collection }, query: { cursor, state: state ?? undefined } },
        signal,
      }),
    ),
  );

export const documentQuery = (collection: string, id: string) =>
  queryOptions({
    queryKey: documentKeys.detail(collection, id),
    queryFn: ({ signal }) =>
      unwrap(api.GET("/api/v1/collections/{id}/documents/{document_id}", { params: { path: { id: collection, document_id: id } }, signal })),
  });

export const documentTextQuery = (collection: string, id: string) =>
  queryOptions({
    queryKey: documentKeys.text(collection, id),
    queryFn: ({ signal }) =>
      unwrap(api.GET("/api/v1/collections/{id}/documents/{document_id}/text", { params: { path: { id: collection, document_id: id } }, signal })),
  });

/** The address of the original file; the browser downloads it. */
export function documentFileUrl(collection: string, id: string): string {
  return `/api/v1/collections/${encodeURIComponent(collection)}/documents/${encodeURIComponent(id)}/file`;
}
