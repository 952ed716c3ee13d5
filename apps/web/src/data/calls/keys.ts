import type { CallStatus } from "@plasma/client/types";

export interface CallFilter {
  model?: string;
  status?: CallStatus;
  prompt?: string;
  prompt_version?: number;
}

export const callKeys = {
  all: ["calls"] as const,
  list: (filter: CallFilter) => ["calls", "list", filter] as const,
  detail: (id: string) => ["calls", "detail", id] as const,
  usage: (days: number) => ["calls", "usage", days] as const,
};
