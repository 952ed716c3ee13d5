export const qualityKeys = {
  settings: ["quality", "settings"] as const,
  scores: (groupBy: string, days: number) => ["quality", "scores", groupBy, days] as const,
};
