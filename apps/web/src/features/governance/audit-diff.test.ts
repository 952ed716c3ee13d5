import { describe, expect, it } from "vitest";

import { dayMicros, filterOf, isWarning, NO_CHOICE } from "./audit-draft";
import { changeRows, detailRows } from "./audit-diff";

describe("what changed", () => {
  it("is a row for each field", () => {
    const data = { name: "x", before: { role: "viewer", settings: { days: 1 } }, after: { role: "admin", settings: { days: 2 } } };
    expect(changeRows(data)).toEqual([
      { field: "role", before: "viewer", after: "admin" },
      { field: "settings.days", before: "1", after: "2" },
    ]);
    expect(detailRows(data)).toEqual([["name", "x"]]);
  });

  it("has one side where something is new or gone", () => {
    expect(changeRows({ before: null, after: { name: "a", list: [1, 2] } })).toEqual([
      { field: "name", before: null, after: "a" },
      { field: "list", before: null, after: "[1,2]" },
    ]);
    expect(changeRows({ before: { name: "a" }, after: null })).toEqual([{ field: "name", before: "a", after: null }]);
    expect(changeRows({ count: 3 })).toEqual([]);
  });

  it("shows secrets as they came: masked on both sides", () => {
    expect(changeRows({ before: { password: "***" }, after: { password: "***" } })).toEqual([{ field: "password", before: "***", after: "***" }]);
  });
});

describe("filters", () => {
  it("are what was chosen, days by UTC and both included", () => {
    const choice = { ...NO_CHOICE, action: " identity.* ", from: "1970-01-02", to: "1970-01-02" };
    expect(filterOf(choice, undefined)).toEqual({ action: "identity.*", from: 86_400_000_000, to: 172_800_000_000 });
    expect(filterOf(NO_CHOICE, "installation")).toEqual({ log: "installation" });
  });

  it("leave a day out that is none", () => {
    for (const wrong of ["", "2026", "2026-02-30", "2026-13-01", "yesterday"]) expect(dayMicros(wrong)).toBeNull();
  });

  it("know what somebody should look at", () => {
    expect(isWarning("identity.login.failed")).toBe(true);
    expect(isWarning("audit.access.denied")).toBe(true);
    expect(isWarning("identity.user.updated")).toBe(false);
  });
});
