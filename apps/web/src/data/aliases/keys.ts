export const aliasKeys = { all: ["aliases"] as const };
