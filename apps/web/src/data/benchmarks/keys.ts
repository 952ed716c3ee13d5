export const benchmarkKeys = {
  all: ["benchmarks"] as const,
  list: ["benchmarks", "list"] as const,
  detail: (id: string) => ["benchmarks", "detail", id] as const,
  comparison: (ids: string) => ["benchmarks", "comparison", ids] as const,
  case: (id: string, name: string) => ["benchmarks", "case", id, name] as const,
};
