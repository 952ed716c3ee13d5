import { describe, expect, it } from "vitest";

import { safeNextPath } from "./next-path";

describe("safeNextPath", () => {
  it("keeps a path of this site", () => {
    expect(safeNextPath("/knowledge/collection/?id=col_1&tab=search#x")).toBe("/knowledge/collection/?id=col_1&tab=search#x");
  });

  it("refuses every other place", () => {
    for (const next of [null, "", "https://evil.example/", "//evil.example", "/\\evil.example", "/a/..//evil.example", "/.//evil.example", "javascript:alert(1)", "/\t/evil.example", "/login/?next=/login/"]) {
      expect(safeNextPath(next)).toBe("/");
    }
  });
});
