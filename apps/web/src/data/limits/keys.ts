export const limitKeys = { all: ["limits"] as const };
