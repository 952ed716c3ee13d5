export const oauthKeys = {
  request: (parameters: object) => ["authorization-request", parameters] as const,
};
