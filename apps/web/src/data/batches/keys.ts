export const batchKeys = { all: ["batches"] as const };
