export const policyKeys = {
  all: ["policies"] as const,
  list: ["policies", "list"] as const,
  detail: (id: string) => ["policies", "detail", id] as const,
  versions: (id: string) => ["policies", "versions", id] as const,
  schema: ["policies", "schema"] as const,
  test: (id: string | null, text: string, enabled: boolean) => ["policies", "test", id, text, enabled] as const,
};
