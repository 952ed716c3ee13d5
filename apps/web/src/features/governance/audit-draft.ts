import type { AuditFilter, AuditLogName } from "@/data/audit/keys";

/** What a person has chosen; empty where nothing. */
export interface AuditChoice {
  actor: string;
  action: string;
  subject: string;
  address: string;
  text: string;
  /** Days by UTC, both included. */
  from: string;
  to: string;
}

export const NO_CHOICE: AuditChoice = { actor: "", action: "", subject: "", address: "", text: "", from: "", to: "" };

const DAY_MICROS = 86_400_000_000;

/** The beginning of a day such as `2026-11-22`; null when it is none. */
export function dayMicros(day: string): number | null {
  const match = /^(\d{4})-(\d{2})-(\d{2})$/.exec(day);
  if (!match) return null;
  const [year, month, date] = [Number(match[1]), Number(match[2]), Number(match[3])];
  const milliseconds = Date.UTC(year, month - 1, date);
  const read = new Date(milliseconds);
  // The 30th of February would become a day of March.
  if (read.getUTCFullYear() !== year || read.getUTCMonth() !== month - 1 || read.getUTCDate() !== date) return null;
  return milliseconds * 1000;
}

/** The choice as the server takes it. A day that is none yet filters nothing. */
export function filterOf(choice: AuditChoice, log: AuditLogName | undefined): AuditFilter {
  const filter: AuditFilter = {};
  for (const name of ["actor", "action", "subject", "address", "text"] as const) {
    const value = choice[name].trim();
    if (value !== "") filter[name] = value;
  }
  const from = dayMicros(choice.from);
  const to = dayMicros(choice.to);
  if (from !== null) filter.from = from;
  if (to !== null) filter.to = to + DAY_MICROS;
  if (log) filter.log = log;
  return filter;
}

/** Groups of actions that are often looked for. */
export const ACTIONS: { value: string; label: string }[] = [
  { value: "identity.login.*", label: "Sign-ins" },
  { value: "audit.access.denied", label: "Refused requests" },
  { value: "audit.personal_data.read", label: "Personal data read" },
  { value: "audit.log.exported", label: "Audit exports" },
  { value: "identity.user.*", label: "People" },
  { value: "identity.team.*", label: "Teams" },
  { value: "identity.api_key.*", label: "API keys" },
  { value: "identity.*", label: "Identity, all" },
  { value: "models.*", label: "Models and providers" },
  { value: "knowledge.*", label: "Knowledge" },
  { value: "content.*", label: "Content" },
  { value: "audit.*", label: "The audit itself" },
];

/** Whether somebody should look at it. */
export function isWarning(action: string): boolean {
  return action.endsWith(".denied") || action.endsWith(".failed") || action === "audit.noted.lost";
}
