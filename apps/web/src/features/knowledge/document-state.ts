import type { DocumentState } from "@plasma/client/types";

import type { Tone } from "@/ui/badge";

export const DOCUMENT_STATES: Record<DocumentState, { label: string; tone: Tone }> = {
  queued: { label: "Queued", tone: "plain" },
  parsing: { label: "Reading", tone: "accent" },
  embedding: { label: "Embedding", tone: "accent" },
  ready: { label: "Ready", tone: "good" },
  failed: { label: "Failed", tone: "bad" },
};

export function isUnfinished(state: DocumentState): boolean {
  return state === "queued" || state === "parsing" || state === "embedding";
}

/** The kinds of file that the server reads; it decides by content, this only guides the file picker. */
export const ACCEPTED_FILES = ".md,.markdown,.txt,.html,.htm,.pdf,.docx,.csv";

const MEDIA_TYPES: Record<string, string> = {
  "text/markdown": "Markdown",
  "text/plain": "Text",
  "text/html": "HTML",
  "application/pdf": "PDF",
  "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "Word",
  "text/csv": "CSV",
};

export function mediaTypeName(mediaType: string): string {
  return MEDIA_TYPES[mediaType.split(";")[0]?.trim() ?? ""] ?? mediaType;
}

export function documentHref(collection: string, document: string, passage?: string): string {
  const params = new URLSearchParams({ collection, document });
  if (passage) params.set("passage", passage);
  return `/knowledge/document/?${params.toString()}`;
}

export function collectionHref(id: string): string {
  return `/knowledge/collection/?id=${encodeURIComponent(id)}`;
}
