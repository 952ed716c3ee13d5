export const synonymKeys = { detail: (collection: string) => ["collections", "synonyms", collection] as const };
