import type { PolicyProblem } from "@plasma/client/types";
import { describe, expect, it } from "vitest";

import { EXAMPLES, lineDiff, markedLines, offsetOf, rangeOf } from "./policy-text";

const text = "forbid (\n  🎉 principal,\n\n};";

describe("offsetOf", () => {
  it("finds lines and columns, which count code points", () => {
    expect(offsetOf(text, { line: 1, column: 1 })).toBe(0);
    expect(text.slice(offsetOf(text, { line: 2, column: 5 })).startsWith("principal")).toBe(true);
    expect(offsetOf(text, { line: 4, column: 3 })).toBe(text.length);
  });

  it("stays within the line and the text", () => {
    expect(offsetOf(text, { line: 3, column: 9 })).toBe(text.indexOf("\n\n") + 1);
    expect(offsetOf(text, { line: 99, column: 1 })).toBe(text.length);
  });
});

describe("rangeOf", () => {
  it("covers what is wrong, and is never backwards", () => {
    const [start, end] = rangeOf(text, { start: { line: 2, column: 5 }, end: { line: 2, column: 14 } });
    expect(text.slice(start, end)).toBe("principal");
    expect(rangeOf(text, { start: { line: 2, column: 5 }, end: { line: 1, column: 1 } })).toEqual([start, start]);
  });
});

describe("markedLines", () => {
  it("lets a mistake win over a warning", () => {
    const problem = (line: number, is_error: boolean): PolicyProblem => ({ is_error, message: "", start: { line, column: 1 }, end: { line, column: 1 } });
    const lines = markedLines([problem(1, false), problem(1, true), problem(2, true), problem(2, false), problem(3, false)]);
    expect([...lines]).toEqual([[1, "error"], [2, "error"], [3, "warning"]]);
  });
});

describe("lineDiff", () => {
  it("tells what was taken and what was added, and what stayed", () => {
    expect(lineDiff("a\nb\nc", "a\nx\nc\nd").map((line) => `${line.kind} ${line.text}`)).toEqual(["same a", "removed b", "added x", "same c", "added d"]);
    expect(lineDiff("a", "a")).toEqual([]);
    expect(lineDiff("", "a").map((line) => line.kind)).toEqual(["removed", "added"]);
  });

  it("gives both texts back whatever they are", () => {
    const texts = ["", "a", "a\nb", "b\na\nb", "\n\n", "x\ny\nz\na"];
    for (const before of texts) {
      for (const after of texts) {
        if (before === after) continue;
        const lines = lineDiff(before, after);
        expect(lines.filter((line) => line.kind !== "added").map((line) => line.text).join("\n")).toBe(before);
        expect(lines.filter((line) => line.kind !== "removed").map((line) => line.text).join("\n")).toBe(after);
      }
    }
  });

  it("does not compare very long texts", () => {
    const long = "line\n".repeat(700);
    expect(lineDiff(long, `${long}x`).some((line) => line.kind === "same")).toBe(false);
  });
});

describe("EXAMPLES", () => {
  it("are statements", () => {
    for (const example of EXAMPLES) expect(example.text).toMatch(/^(permit|forbid) \([\s\S]+\};?\n$|^(permit|forbid) \([\s\S]+\);\n$/);
  });
});
