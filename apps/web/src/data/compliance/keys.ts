export const complianceKeys = { report: ["compliance"] as const };
