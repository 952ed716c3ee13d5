import { describe, expect, it } from "vitest";

import { coveredPart, passageBlocks } from "./passage-blocks";

const passage = (id: string, ordinal: number, start: number, end: number) => ({ id, ordinal, start, end, heading: null });

describe("passageBlocks", () => {
  const text = "# 🎉 Plan\n\nFirst part. Second part.\n\nThe end 🏁";

  it("loses and doubles nothing, with gaps and overlaps", () => {
    const passages = [passage("b", 1, 17, 35), passage("a", 0, 10, 22)];
    const blocks = passageBlocks({ text, passages });
    expect(blocks.map((block) => block.text).join("")).toBe(text);
    expect(blocks.map((block) => block.passage?.id ?? null)).toEqual([null, "a", "b", null]);
    expect(blocks[1]?.text).toBe("First part. ");
  });

  it("finds the tail of the former block that an overlapping passage covers", () => {
    const second = passage("b", 1, 17, 35);
    const blocks = passageBlocks({ text, passages: [passage("a", 0, 10, 22), second] });
    const part = blocks[1] && coveredPart(blocks[1], second);
    expect([...(blocks[1]?.text ?? "")].slice(part?.start).join("")).toBe([...text].slice(17, 22).join(""));
    expect(blocks[0] && coveredPart(blocks[0], second)).toBeNull();
  });

  it("survives passages beyond the text", () => {
    const blocks = passageBlocks({ text: "short", passages: [passage("a", 0, 0, 99), passage("b", 1, 50, 60)] });
    expect(blocks.map((block) => block.text).join("")).toBe("short");
  });
});
