import { describe, expect, it } from "vitest";

import { bodyOfRules, draftsOf, moved, newDraft } from "./connection-rules";

const RULES = [
  { claim: "groups", value: "admins", role: "admin" as const },
  { claim: "groups", value: "writers", custom_role: "role_00000000000000000000000001", team: "team_00000000000000000000000001" },
];

describe("mapping rules", () => {
  it("survive being edited without a change", () => {
    expect(bodyOfRules(draftsOf(RULES))).toEqual(RULES);
  });

  it("lose the workspace's own role when a built-in one is chosen", () => {
    const drafts = draftsOf(RULES).map((draft) => ({ ...draft, role: "viewer" as const }));
    expect(bodyOfRules(drafts)[1]).toEqual({ claim: "groups", value: "writers", role: "viewer", team: "team_00000000000000000000000001" });
  });

  it("move by one and keep their keys", () => {
    const drafts = draftsOf(RULES);
    expect(moved(drafts, 0, 1).map((draft) => draft.key)).toEqual([1, 0]);
    expect(moved(drafts, 1, -1).map((draft) => draft.value)).toEqual(["writers", "admins"]);
  });

  it("begin with the claim of the one before, under a new key", () => {
    expect(newDraft([])).toMatchObject({ key: 0, claim: "groups" });
    expect(newDraft(draftsOf([{ claim: "roles", value: "a" }]))).toMatchObject({ key: 1, claim: "roles" });
  });
});
