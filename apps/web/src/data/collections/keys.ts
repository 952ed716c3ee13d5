export const collectionKeys = {
  all: ["collections"] as const,
  list: ["collections", "list"] as const,
  choices: ["collections", "choices"] as const,
  detail: (id: string) => ["collections", "detail", id] as const,
  reembedding: (id: string) => ["collections", "reembedding", id] as const,
  placement: (id: string) => ["collections", "placement", id] as const,
  index: (id: string) => ["collections", "index", id] as const,
};
