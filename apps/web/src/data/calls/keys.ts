import type { CallPurpose, CallStatus } from "@plasma/client/types";

export interface CallFilter {
  from?: string;
  to?: string;
  model?: string;
  provider?: string;
  route?: string;
  status?: CallStatus;
  purpose?: CallPurpose;
  key?: string;
  user?: string;
  team?: string;
  min_cost_micros?: number;
  min_duration_ms?: number;
  prompt?: string;
  prompt_version?: number;
}

export const callKeys = {
  all: ["calls"] as const,
  list: (filter: CallFilter) => ["calls", "list", filter] as const,
  detail: (id: string) => ["calls", "detail", id] as const,
};
