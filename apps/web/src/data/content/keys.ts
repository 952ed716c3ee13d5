export const contentKeys = {
  all: ["content"] as const,
  list: ["content", "list"] as const,
  detail: (id: string) => ["content", "detail", id] as const,
  revisions: (id: string) => ["content", "revisions", id] as const,
  diff: (id: string, from: number, to: number) => ["content", "diff", id, from, to] as const,
};
