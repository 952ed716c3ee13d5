export const pullKeys = { all: ["pulls"] as const };
