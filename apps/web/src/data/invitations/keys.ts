export const invitationKeys = {
  all: ["invitations"] as const,
  preview: (token: string) => ["invitation-preview", token] as const,
};
