import { describe, expect, it } from "vitest";

import { fetchedText, pathsOf } from "./pull-labels";

describe("weights that are fetched", () => {
  it("tells bytes with and without the whole", () => {
    expect(fetchedText({ done_bytes: 120_000_000, size_bytes: 491_000_000 })).toBe("120 MB of 491 MB");
    expect(fetchedText({ done_bytes: 0, size_bytes: null })).toBe("0 B");
  });

  it("takes one path from each line that has one", () => {
    expect(pathsOf(" a.gguf \n\n1_Pooling/config.json\n")).toEqual(["a.gguf", "1_Pooling/config.json"]);
    expect(pathsOf("  ")).toEqual([]);
  });
});
