import type { PendingLogin } from "@plasma/client/types";
import { beforeEach, describe, expect, it, vi } from "vitest";

import { isPending, leavePendingLogin, takePendingLogin } from "./pending-login";

const pending = { pending_token: "plp_a", expires_at: 1, needs: ["totp"], may_enroll: [] } as unknown as PendingLogin;

describe("a login that is left to the sign-in page", () => {
  beforeEach(() => {
    const kept = new Map<string, string>();
    vi.stubGlobal("sessionStorage", {
      getItem: (key: string) => kept.get(key) ?? null,
      setItem: (key: string, value: string) => kept.set(key, value),
      removeItem: (key: string) => kept.delete(key),
    });
  });

  it("is taken once", () => {
    leavePendingLogin(pending);
    expect(takePendingLogin()).toEqual(pending);
    expect(takePendingLogin()).toBeNull();
  });

  it("is nothing when something else was left", () => {
    for (const text of ["", "{", "null", "[]", "{\"token\":\"pls_a\"}"]) {
      sessionStorage.setItem("plasma-pending-login", text);
      expect(takePendingLogin()).toBeNull();
    }
  });

  it("is told from a session", () => {
    expect(isPending(pending)).toBe(true);
    expect(isPending({ token: "pls_a" })).toBe(false);
  });
});
