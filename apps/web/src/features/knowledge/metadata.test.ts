import { describe, expect, it } from "vitest";

import { buildFilter, hasValue, parseMetadata, parseRange, parseValue, toggleValue, valueText, type FilterRow } from "./metadata";

const row = (field: string, operator: FilterRow["operator"], value: string): FilterRow => ({ id: 1, field, operator, value });

describe("metadata", () => {
  it("keeps numbers and booleans as such, and quoted ones as text", () => {
    expect(["12", "-0.5", "true", "False", "007", '"12"', " growth team "].map(parseValue)).toEqual([12, -0.5, true, "False", "007", "12", "growth team"]);
  });

  it("reads lines and names the one that is wrong", () => {
    expect(parseMetadata("team: growth\n\nurl: http://x.test/a:b\nyear: 2026")).toEqual({
      metadata: { team: "growth", url: "http://x.test/a:b", year: 2026 },
      error: null,
    });
    expect(parseMetadata("team: growth\nnonsense").error).toMatch(/^Line 2/);
  });
});

describe("buildFilter", () => {
  it("builds what the API takes", () => {
    expect(buildFilter([row("team", "is", "growth"), row("year", "between", "2020..2026"), row("tag", "in", "a, 2, ")])).toEqual({
      team: "growth",
      year: { gte: 2020, lte: 2026 },
      tag: { in: ["a", 2] },
    });
  });

  it("leaves unfinished rows out", () => {
    expect(buildFilter([row("", "is", "x"), row("year", "between", "soon"), row("team", "is", " ")])).toBeUndefined();
  });

  it("reads open ranges", () => {
    expect(parseRange("2020..")).toEqual({ gte: 2020 });
    expect(parseRange(".. 3.5")).toEqual({ lte: 3.5 });
    expect(parseRange("1 to 2")).toEqual({ gte: 1, lte: 2 });
    expect(parseRange("..")).toBeNull();
  });
});

describe("values of facets", () => {
  it("are written so that they are read as the same value", () => {
    for (const value of ["growth team", "12", "true", 12, -0.5, true]) expect(parseValue(valueText(value))).toBe(value);
  });

  it("replace the field's condition, and are taken away by the second choice", () => {
    const rows = toggleValue([row("team", "in", "a, b")], "team", "12");
    expect(rows).toEqual([{ id: 2, field: "team", operator: "is", value: '"12"' }]);
    expect([hasValue(rows, "team", "12"), hasValue(rows, "team", 12)]).toEqual([true, false]);
    expect(toggleValue(rows, "team", "12")).toEqual([]);
  });
});
