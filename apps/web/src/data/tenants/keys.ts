export const tenantKeys = {
  /** Of the whole installation, for operators. */
  all: ["tenants"] as const,
  one: (id: string) => ["tenants", id] as const,
  /** Those of the signed-in person. */
  mine: ["my-tenants"] as const,
  branding: ["branding"] as const,
  quotas: ["quotas"] as const,
  exports: ["exports"] as const,
  /** What a page without a session may know. */
  publicBranding: ["public-branding"] as const,
};
