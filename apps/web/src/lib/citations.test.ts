import { describe, expect, it } from "vitest";

import { linkCitations, parseCitationHref } from "./citations";

const known = new Set([1, 2, 3]);

describe("linkCitations", () => {
  it("links the mark that an anchor covers", () => {
    expect(linkCitations("Costs fell [1].", [{ number: 1, start: 11, end: 14 }], known)).toBe("Costs fell [1](#citation-1-0).");
  });

  it("links the mark that follows the supported statement", () => {
    const text = "🎉 Costs fell. [2] Then they rose [1].";
    const anchors = [{ number: 2, start: 2, end: 13 }, { number: 1, start: 18, end: 32 }];
    expect(linkCitations(text, anchors, known)).toBe("🎉 Costs fell. [2](#citation-2-0) Then they rose [1](#citation-1-1).");
  });

  it("adds a reference where the model wrote none", () => {
    expect(linkCitations("🚀 Fast. Next", [{ number: 3, start: 0, end: 7 }], known)).toBe("🚀 Fast.[3](#citation-3-0) Next");
  });

  it("never cuts a word in two, even when the anchor is stale", () => {
    expect(linkCitations("Costs have fallen.", [{ number: 1, start: 0, end: 13 }], known)).toBe("Costs have fallen[1](#citation-1-0).");
    expect(linkCitations("Costs fell. Then", [{ number: 1, start: 0, end: 11 }], known)).toBe("Costs fell.[1](#citation-1-0) Then");
  });

  it("keeps neighbours apart and repeats", () => {
    const anchors = [{ number: 1, start: 0, end: 1 }, { number: 2, start: 0, end: 1 }];
    expect(linkCitations("A [1][2] and [1]", anchors, known)).toBe("A [1](#citation-1-0)[2](#citation-2-1) and [1](#citation-1)");
  });

  it("leaves code, real links and unknown numbers alone", () => {
    const text = "`a[1]` [1](https://example.com) [9]\n\n[2]: https://example.com";
    expect(linkCitations(text, [], known)).toBe(text);
  });
});

describe("parseCitationHref", () => {
  it("reads its own links only", () => {
    expect(parseCitationHref("#citation-2-0")).toEqual({ number: 2, index: 0 });
    expect(parseCitationHref("#citation-12")).toEqual({ number: 12, index: null });
    expect(parseCitationHref("https://example.com/#citation-1")).toBeNull();
    expect(parseCitationHref(undefined)).toBeNull();
  });
});
