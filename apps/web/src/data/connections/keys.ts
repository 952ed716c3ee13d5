export const connectionKeys = {
  all: ["connections"] as const,
  list: ["connections", "list"] as const,
  accounts: (id: string) => ["connections", "accounts", id] as const,
  singleSignOn: ["connections", "single-sign-on"] as const,
  domains: ["connections", "domains"] as const,
};
