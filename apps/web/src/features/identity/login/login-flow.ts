import type { LoginMethods, LoginNeed, LoginResult, PendingLogin } from "@plasma/client/types";

import type { LoginAnswer } from "@/data/login/mutations";

import { isPending } from "../pending-login";

/** Where a login stands. */
export type LoginStep =
  | { kind: "email" }
  | { kind: "methods"; email: string; offered: LoginMethods }
  | { kind: "mail"; email: string; what: "link" | "reset" }
  | { kind: "proof"; pending: PendingLogin }
  | { kind: "enroll"; pending: PendingLogin }
  | { kind: "codes"; codes: string[]; answer: LoginAnswer }
  | { kind: "soon"; by: number }
  | { kind: "done" };

/** What comes after the server's answer to a proof. */
export function afterAnswer(answer: LoginAnswer): LoginStep {
  if (isPending(answer)) return answer.needs.includes("enroll") ? { kind: "enroll", pending: answer } : { kind: "proof", pending: answer };
  return answer.enroll_by === null ? { kind: "done" } : { kind: "soon", by: answer.enroll_by };
}

/** What comes after a factor was set up: its codes must be seen first. */
export function afterEnrolling(login: LoginResult | null, pending: PendingLogin | null, codes: string[] | null): LoginStep {
  const answer = login ?? pending;
  if (!answer) return { kind: "email" };
  return codes ? { kind: "codes", codes, answer } : afterAnswer(answer);
}

/** The proofs that a person can choose from here, the easiest first. */
export function choices(needs: readonly LoginNeed[], passkeys: boolean): Exclude<LoginNeed, "enroll">[] {
  const order: Exclude<LoginNeed, "enroll">[] = ["passkey", "totp", "recovery_code"];
  return order.filter((need) => needs.includes(need) && (need !== "passkey" || passkeys));
}
