export const linkedAccountKeys = { all: ["linked-accounts"] as const };
