import { describe, expect, it } from "vitest";

import { belongsTo, textLines } from "./text-lines";

describe("textLines", () => {
  it("reads one entry a line", () => {
    expect(textLines(" https://a.example/cb \r\n\n https://b.example/cb\nhttps://a.example/cb\n")).toEqual(["https://a.example/cb", "https://b.example/cb"]);
    expect(textLines("  \n")).toEqual([]);
  });
});

describe("belongsTo", () => {
  it("finds the list of an entry's problem", () => {
    expect(belongsTo("redirect_uris[2]", "redirect_uris")).toBe(true);
    expect(belongsTo("redirect_uris", "redirect_uris")).toBe(true);
    expect(belongsTo("redirect", "redirect_uris")).toBe(false);
    expect(belongsTo(null, "redirect_uris")).toBe(false);
  });
});
