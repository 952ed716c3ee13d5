export const loginPolicyKeys = { policy: ["login-policy"] as const };
