export const routeKeys = { all: ["routes"] as const };
