import type { UsageDimension } from "@plasma/client/types";

export interface UsageFilter {
  from: string;
  to: string;
  groupBy: UsageDimension[];
  model?: string;
  provider?: string;
  key?: string;
  user?: string;
  team?: string;
  route?: string;
  limit?: number;
}

export const usageKeys = {
  /** Calls change them: they are stale together. */
  table: (filter: UsageFilter) => ["calls", "usage", filter] as const,
};
