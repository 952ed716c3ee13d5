import type { LoginResult, PendingLogin } from "@plasma/client/types";
import { describe, expect, it } from "vitest";

import { isPending } from "../pending-login";
import { afterAnswer, afterEnrolling, choices } from "./login-flow";

const pending = (needs: PendingLogin["needs"]): PendingLogin => ({ pending_token: "plp_1", expires_at: 1, needs, may_enroll: [] });
const login = (enrollBy: number | null) => ({ token: "pls_1", session: "ses_1", expires_at: 1, enroll_by: enrollBy, user: {}, tenant: {} }) as unknown as LoginResult;

describe("a login", () => {
  it("is done with a session, unless a factor must be set up soon", () => {
    expect(afterAnswer(login(null))).toEqual({ kind: "done" });
    expect(afterAnswer(login(7))).toEqual({ kind: "soon", by: 7 });
  });

  it("goes on with what is needed", () => {
    expect(afterAnswer(pending(["totp", "recovery_code"])).kind).toBe("proof");
    expect(afterAnswer(pending(["enroll"])).kind).toBe("enroll");
    expect([isPending(pending([])), isPending(login(null))]).toEqual([true, false]);
  });

  it("shows new recovery codes before anything else", () => {
    expect(afterEnrolling(login(null), null, ["a"])).toMatchObject({ kind: "codes", codes: ["a"] });
    expect(afterEnrolling(login(null), null, null)).toEqual({ kind: "done" });
    expect(afterEnrolling(null, pending(["totp"]), null).kind).toBe("proof");
    expect(afterEnrolling(null, null, null)).toEqual({ kind: "email" });
  });

  it("offers only what this browser can do", () => {
    expect(choices(["recovery_code", "totp", "passkey"], true)).toEqual(["passkey", "totp", "recovery_code"]);
    expect(choices(["passkey", "recovery_code"], false)).toEqual(["recovery_code"]);
    expect(choices(["enroll"], true)).toEqual([]);
  });
});
