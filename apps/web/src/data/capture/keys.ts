export const captureKeys = {
  settings: ["capture", "settings"] as const,
  payload: (callId: string) => ["capture", "payload", callId] as const,
};
