export const grantKeys = { all: ["grants"] as const };
