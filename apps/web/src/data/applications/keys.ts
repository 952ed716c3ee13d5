export const applicationKeys = { all: ["applications"] as const };
