import type { CacheKind, CacheMode } from "@plasma/client/types";

export const CACHE_KINDS: Record<CacheKind, string> = { exact: "cache", semantic: "similar question", partial: "partly from cache" };

export const CACHE_MODES: Record<CacheMode, { label: string; about: string }> = {
  off: { label: "Never", about: "A model answers every question." },
  exact: { label: "For the same question", about: "The same question to the same model is answered once." },
  semantic: { label: "Also for a similar question", about: "The last messages are compared by meaning; everything before them must be the same." },
};
