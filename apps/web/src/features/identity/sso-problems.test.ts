import { describe, expect, it } from "vitest";

import { signInProblem } from "./sso-problems";

describe("signInProblem", () => {
  it("has words for what is known", () => {
    expect(signInProblem("sso_email_unverified")?.title).toMatch(/not verified/);
    expect(signInProblem("sso_email_unverified")?.remedy).toMatch(/link the account/);
  });

  it("shows an unknown reason as it is, and nothing that is none", () => {
    expect(signInProblem("something_new")?.detail).toContain("something_new");
    for (const hostile of ["<script>", "a b", "constructor!", "x".repeat(200)]) {
      expect(signInProblem(hostile)?.detail).toBe("The server refused it.");
    }
    expect(signInProblem("constructor")?.detail).toContain("constructor");
  });

  it("is silent when nothing went wrong", () => {
    expect(signInProblem(null)).toBeNull();
    expect(signInProblem("")).toBeNull();
  });
});
