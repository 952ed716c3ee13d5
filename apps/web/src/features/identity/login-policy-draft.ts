import type { LoginMethod, LoginPolicy, NewLoginPolicy } from "@plasma/client/types";

/** The methods that a workspace can allow or not. Recovery codes go with whatever second factor is allowed. */
export const CHOOSABLE: { method: LoginMethod; label: string; hint: string }[] = [
  { method: "password", label: "Password", hint: "With a second factor for those who have one." },
  { method: "passkey", label: "Passkey", hint: "By itself, or as a second factor." },
  { method: "totp", label: "Authenticator application", hint: "As a second factor." },
  { method: "magic_link", label: "Link by mail", hint: "As safe as the mailbox." },
  { method: "single_sign_on", label: "Single sign-on", hint: "At an identity provider that is connected." },
];

const FIRST: LoginMethod[] = ["password", "passkey", "magic_link", "single_sign_on"];
const HOUR = 3600;
const DAY = 24 * HOUR;

export const SESSION_LENGTHS = [8 * HOUR, DAY, 7 * DAY, 30 * DAY, 90 * DAY];
export const IDLE_TIMES = [HOUR / 4, HOUR, 8 * HOUR, DAY, 7 * DAY, 30 * DAY];
export const GRACES = [0, DAY, 7 * DAY, 30 * DAY];

/** The form's own state; ranges are lines of text. */
export interface LoginPolicyDraft {
  methods: LoginMethod[];
  mfaRequired: boolean;
  graceSeconds: number;
  sessionSeconds: number;
  idleSeconds: number;
  ranges: string;
}

export function draftOf(policy: LoginPolicy): LoginPolicyDraft {
  return {
    methods: policy.methods,
    mfaRequired: policy.mfa_required,
    graceSeconds: policy.mfa_grace_seconds,
    sessionSeconds: policy.session_seconds,
    idleSeconds: policy.idle_seconds,
    ranges: policy.ip_ranges.join("\n"),
  };
}

export function policyOf(draft: LoginPolicyDraft): NewLoginPolicy {
  return {
    methods: draft.methods,
    mfa_required: draft.mfaRequired,
    mfa_grace_seconds: draft.mfaRequired ? draft.graceSeconds : 0,
    session_seconds: draft.sessionSeconds,
    idle_seconds: Math.min(draft.idleSeconds, draft.sessionSeconds),
    ip_ranges: draft.ranges.split(/[\s,]+/).filter((range) => range !== ""),
  };
}

/** Why nobody could sign in with this; null when they could. */
export function draftProblem(draft: LoginPolicyDraft): string | null {
  if (!FIRST.some((method) => draft.methods.includes(method))) return "Allow at least one way to begin a sign-in.";
  const factors: LoginMethod[] = ["totp", "passkey", "single_sign_on"];
  if (draft.mfaRequired && !factors.some((method) => draft.methods.includes(method))) return "A second factor is required, and none is allowed.";
  return null;
}

/** "30 days", "8 hours", "15 minutes" */
export function lengthInWords(seconds: number): string {
  const [count, unit]: [number, string] = seconds % DAY === 0 ? [seconds / DAY, "day"] : seconds % HOUR === 0 ? [seconds / HOUR, "hour"] : [Math.round(seconds / 60), "minute"];
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}

/** The choices with the stored value among them, whatever a program has put there. */
export function withStored(choices: readonly number[], stored: number): number[] {
  return choices.includes(stored) ? [...choices] : [...choices, stored].sort((one, other) => one - other);
}
