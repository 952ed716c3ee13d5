export const modelCacheKeys = {
  all: ["model-cache"] as const,
  settings: ["model-cache", "settings"] as const,
  usage: (days: number) => ["model-cache", "usage", days] as const,
};
