import type { LoginPolicy } from "@plasma/client/types";
import { describe, expect, it } from "vitest";

import { draftOf, draftProblem, lengthInWords, policyOf, withStored } from "./login-policy-draft";

const policy: LoginPolicy = {
  methods: ["password", "totp"], mfa_required: true, mfa_required_at: 1, mfa_grace_seconds: 86_400, session_seconds: 28_800, idle_seconds: 3600, ip_ranges: ["192.0.2.0/24", "2001:db8::/32"], updated_at: 1,
};

describe("a login policy", () => {
  it("survives the form", () => {
    const { methods, mfa_required, mfa_grace_seconds, session_seconds, idle_seconds, ip_ranges } = policy;
    expect(policyOf(draftOf(policy))).toEqual({ methods, mfa_required, mfa_grace_seconds, session_seconds, idle_seconds, ip_ranges });
  });

  it("reads ranges however they are separated, and keeps the idle time within the session", () => {
    const draft = { ...draftOf(policy), ranges: " 192.0.2.1,\n\n198.51.100.0/24 ", idleSeconds: 999_999, mfaRequired: false };
    expect(policyOf(draft)).toMatchObject({ ip_ranges: ["192.0.2.1", "198.51.100.0/24"], idle_seconds: 28_800, mfa_grace_seconds: 0 });
  });

  it("says when nobody could sign in", () => {
    expect(draftProblem(draftOf(policy))).toBeNull();
    expect(draftProblem({ ...draftOf(policy), methods: ["totp"] })).toMatch(/begin/);
    expect(draftProblem({ ...draftOf(policy), methods: ["password"] })).toMatch(/second factor/);
  });

  it("names lengths and keeps unusual ones", () => {
    expect([900, 3600, 28_800, 86_400, 2_592_000].map(lengthInWords)).toEqual(["15 minutes", "1 hour", "8 hours", "1 day", "30 days"]);
    expect(withStored([1, 3], 2)).toEqual([1, 2, 3]);
    expect(withStored([1, 3], 3)).toEqual([1, 3]);
  });
});
