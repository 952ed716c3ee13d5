import { describe, expect, it } from "vitest";

import { diffRows, diffWords, type WordPiece } from "./word-diff";

const text = (pieces: WordPiece[]) => pieces.map((piece) => piece.text).join("");
const changed = (pieces: WordPiece[]) => pieces.filter((piece) => piece.changed).map((piece) => piece.text.trim());

describe("diffWords", () => {
  it("marks only the words that differ", () => {
    const result = diffWords("The launch is planned for March.", "The launch is now planned for May.");
    expect(changed(result?.removed ?? [])).toEqual(["March"]);
    expect(changed(result?.added ?? [])).toEqual(["now", "May"]);
  });

  it("puts both sides together again, with emoji, accents and spaces", () => {
    const before = "Größe  😀 stays, prix élevé";
    const after = "Größe 😀 stays, prix très élevé 🎉";
    const result = diffWords(before, after);
    expect(text(result?.removed ?? [])).toBe(before);
    expect(text(result?.added ?? [])).toBe(after);
  });

  it("does not compare lines that have nothing in common, nor very long ones", () => {
    expect(diffWords("alpha beta gamma delta", "one two three four")).toBeNull();
    expect(diffWords("word ".repeat(500), "word ".repeat(501))).toBeNull();
  });
});

describe("diffRows", () => {
  it("pairs removed with added lines in order and keeps the rest whole", () => {
    const rows = diffRows([
      { kind: "same", text: "# Plan" },
      { kind: "removed", text: "We ship in March." },
      { kind: "removed", text: "Nobody knows why." },
      { kind: "added", text: "We ship in May." },
      { kind: "same", text: "" },
      { kind: "added", text: "A new line" },
    ]);
    expect(rows.map((row) => [row.kind, text(row.pieces)])).toEqual([
      ["same", "# Plan"],
      ["removed", "We ship in March."],
      ["removed", "Nobody knows why."],
      ["added", "We ship in May."],
      ["same", ""],
      ["added", "A new line"],
    ]);
    expect(rows.map((row) => changed(row.pieces))).toEqual([[], ["March"], [], ["May"], [], []]);
  });

  it("keeps a removal that nothing replaces", () => {
    expect(diffRows([{ kind: "removed", text: "gone" }])).toEqual([{ kind: "removed", pieces: [{ text: "gone", changed: false }] }]);
  });
});
