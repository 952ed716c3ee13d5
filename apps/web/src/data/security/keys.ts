export const securityKeys = { mine: ["me", "security"] as const };
