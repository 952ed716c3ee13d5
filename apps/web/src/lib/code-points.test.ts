import { describe, expect, it } from "vitest";

import { codePointLength, highlightSegments, mergeSpans, sliceCodePoints, utf16Offsets } from "./code-points";

const marked = (text: string, spans: { start: number; end: number }[]) =>
  highlightSegments(text, spans).filter((segment) => segment.marked).map((segment) => segment.text);

describe("code point offsets", () => {
  it("counts an emoji as one", () => {
    const text = "🚀 launch 👩‍🚀 plan";
    expect(codePointLength(text)).toBe([...text].length);
    expect(sliceCodePoints(text, 2, 8)).toBe("launch");
    expect(sliceCodePoints(text, 13, 17)).toBe("plan");
  });

  it("agrees with Array.from at every offset, with astral letters, flags and lone surrogates", () => {
    for (const text of ["plain", "aß語🇩🇪b", "𝒳𝒴z", "\uD83Dx\uDE00", "", "👨‍👩‍👧‍👦!"]) {
      const characters = Array.from(text);
      const at = utf16Offsets(text);
      for (let offset = 0; offset <= characters.length; offset += 1) {
        expect(at(offset)).toBe(characters.slice(0, offset).join("").length);
      }
      expect(at(characters.length + 5)).toBe(text.length);
      expect(at(-3)).toBe(0);
    }
  });
});

describe("highlightSegments", () => {
  it("marks the right words behind an emoji", () => {
    expect(marked("💶💶 The budget is 4 M€ 🎉 budget", [{ start: 7, end: 13 }, { start: 24, end: 30 }])).toEqual(["budget", "budget"]);
  });

  it("never splits a surrogate pair", () => {
    expect(marked("a😀b", [{ start: 1, end: 2 }])).toEqual(["😀"]);
  });

  it("joins overlapping and touching spans, drops empty and inverted ones, clamps the rest", () => {
    expect(mergeSpans([{ start: 5, end: 9 }, { start: 0, end: 3 }, { start: 3, end: 4 }, { start: 7, end: 7 }, { start: 9, end: 2 }, { start: 8, end: 99 }], 10))
      .toEqual([{ start: 0, end: 4 }, { start: 5, end: 10 }]);
  });

  it("loses nothing of the text", () => {
    const text = "one 😀 two 😀 three";
    for (let start = 0; start < 16; start += 1) {
      for (let end = start; end < 18; end += 1) {
        expect(highlightSegments(text, [{ start, end }]).map((segment) => segment.text).join("")).toBe(text);
      }
    }
  });
});
