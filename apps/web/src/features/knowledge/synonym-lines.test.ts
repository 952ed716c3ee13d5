import { describe, expect, it } from "vitest";

import { parseSynonyms, synonymLines } from "./synonym-lines";

describe("synonym lines", () => {
  it("reads sets and one-way rules, and writes them back", () => {
    const text = "tv, television\nusa, united states\ncar => vehicle, lorry";
    const parsed = parseSynonyms(`${text}\n\n`);
    expect(parsed).toEqual({
      sets: [["tv", "television"], ["usa", "united states"]],
      one_way: [{ from: "car", to: ["vehicle", "lorry"] }],
      error: null,
    });
    expect(synonymLines(parsed)).toBe(text);
  });

  it("names the line that is wrong", () => {
    expect(parseSynonyms("tv, television\nalone").error).toMatch(/^Line 2/);
    expect(parseSynonyms("car =>").error).toMatch(/^Line 1/);
    expect(parseSynonyms("a, b => c").error).toMatch(/^Line 1/);
    expect(parseSynonyms("a => b => c").error).toMatch(/^Line 1/);
  });
});
