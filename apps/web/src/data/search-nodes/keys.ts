export const searchNodeKeys = {
  all: ["search-nodes"] as const,
};
