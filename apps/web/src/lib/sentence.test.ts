import { describe, expect, it } from "vitest";

import { sentence } from "./sentence";

describe("sentence", () => {
  it("makes a sentence of a message and leaves names alone", () => {
    expect(sentence("the password is wrong")).toBe("The password is wrong.");
    expect(sentence("tool.exe cannot be read")).toBe("tool.exe cannot be read.");
    expect(sentence("`plasma models fetch` brings it")).toBe("`plasma models fetch` brings it.");
    expect(sentence("max_tokens must be 1 to 100")).toBe("max_tokens must be 1 to 100.");
    expect(sentence(" ready: go ")).toBe("Ready: go.");
    expect(sentence("")).toBe("");
  });
});
