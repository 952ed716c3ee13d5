export const sessionKeys = {
  me: ["me"] as const,
  visitor: ["visitor"] as const,
};
