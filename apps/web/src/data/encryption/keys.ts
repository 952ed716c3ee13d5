export const encryptionKeys = {
  all: ["encryption"] as const,
  workspace: ["encryption", "workspace"] as const,
  installation: ["encryption", "installation"] as const,
};
