export const promptKeys = {
  all: ["prompts"] as const,
  list: ["prompts", "list"] as const,
  detail: (name: string) => ["prompts", "detail", name] as const,
  versions: (name: string) => ["prompts", "detail", name, "versions"] as const,
  /** Versions never change: what was loaded once stays. */
  version: (name: string, version: number) => ["prompt-version", name, version] as const,
  diff: (name: string, from: number, to: number) => ["prompt-diff", name, from, to] as const,
};
