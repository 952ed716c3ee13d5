export const systemKeys = {
  overview: ["overview"] as const,
  events: ["events"] as const,
  jobs: ["jobs"] as const,
};
