import { describe, expect, it } from "vitest";

import { buildFilter, hasValue, parseMetadata, parseRange, parseValue, showValue, toggleValue, valueText, type FilterRow } from "./metadata";

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

  it("reads lists, times and places, and shows them", () => {
    const { metadata } = parseMetadata('tags: [tax, 2026, true]\noffice: {"lat": 48.1, "lon": 11.5}\ndue: {"time": "2026-01-02T03:04:05Z"}\nbroken: {x');
    expect(metadata).toEqual({ tags: ["tax", 2026, true], office: { lat: 48.1, lon: 11.5 }, due: { time: "2026-01-02T03:04:05Z" }, broken: "{x" });
    expect(Object.values(metadata).map(showValue)).toEqual(["tax, 2026, true", "48.1, 11.5", "2026-01-02T03:04:05Z", "{x"]);
  });
});

describe("buildFilter", () => {
  it("builds what the API takes", () => {
    expect(buildFilter([row("team", "is", "growth"), row("year", "between", "2020..2026"), row("tag", "in", "a, 2, ")])).toEqual({
      team: "growth",
      year: { gte: 2020, lte: 2026 },
      tag: { in: ["a", 2] },
    });
    const others = [
      row("a", "ne", "x"), row("b", "contains_all", "x, 3"), row("c", "prefix", "Gu"), row("d", "exists", ""), row("e", "missing", ""),
      row("f", "near", "48.14, 11.58, 5000 m"), row("g", "box", "-10, 170, 10, -170"), row("$created_at", "between", "2026-01-01..2026-06-30"),
    ];
    expect(buildFilter(others)).toEqual({
      a: { ne: "x" },
      b: { contains_all: ["x", 3] },
      c: { prefix: "Gu" },
      d: { exists: true },
      e: { exists: false },
      f: { near: { lat: 48.14, lon: 11.58, within_m: 5000 } },
      g: { box: { south: -10, west: 170, north: 10, east: -170 } },
      $created_at: { gte: "2026-01-01T00:00:00Z", lte: "2026-06-30T23:59:59.999999Z" },
    });
  });

  it("joins conditions by and or or", () => {
    const rows = [row("tag", "is", "a"), row("tag", "ne", "b")];
    expect(buildFilter(rows)).toEqual({ and: [{ tag: "a" }, { tag: { ne: "b" } }] });
    expect(buildFilter(rows, "any")).toEqual({ or: [{ tag: "a" }, { tag: { ne: "b" } }] });
    expect(buildFilter(rows.slice(0, 1), "any")).toEqual({ tag: "a" });
  });

  it("leaves unfinished rows out", () => {
    const rows = [row("", "is", "x"), row("year", "between", "soon"), row("team", "is", " "), row("office", "near", "48, 11"), row("", "exists", "")];
    expect(buildFilter(rows)).toBeUndefined();
  });

  it("reads open ranges", () => {
    expect(parseRange("2020..")).toEqual({ gte: 2020 });
    expect(parseRange(".. 3.5")).toEqual({ lte: 3.5 });
    expect(parseRange("1 to 2")).toEqual({ gte: 1, lte: 2 });
    expect(parseRange("2026-01-02T03:04:05+01:00..")).toEqual({ gte: "2026-01-02T03:04:05+01:00" });
    expect(parseRange("..")).toBeNull();
    expect(parseRange("1..soon")).toBeNull();
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
