import type { DocumentState } from "@plasma/client/types";

export const documentKeys = {
  all: ["documents"] as const,
  lists: (collection: string) => ["documents", "list", collection] as const,
  list: (collection: string, state: DocumentState | null) => ["documents", "list", collection, state] as const,
  detail: (collection: string, id: string) => ["documents", "detail", collection, id] as const,
  text: (collection: string, id: string) => ["documents", "text", collection, id] as const,
};
