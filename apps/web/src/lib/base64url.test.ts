import { describe, expect, it } from "vitest";

import { fromBase64Url, toBase64Url } from "./base64url";

describe("base64url", () => {
  it("survives every byte and every length", () => {
    for (const length of [0, 1, 2, 3, 4, 255, 256]) {
      const bytes = Uint8Array.from({ length }, (_, index) => (index * 37 + length) % 256);
      const text = toBase64Url(bytes);
      expect(text).toMatch(/^[A-Za-z0-9_-]*$/);
      expect(Array.from(fromBase64Url(text))).toEqual(Array.from(bytes));
    }
  });

  it("writes what the standard says", () => {
    expect(toBase64Url(Uint8Array.from([251, 255, 254]))).toBe("-__-");
    expect(toBase64Url(Uint8Array.from([1]).buffer)).toBe("AQ");
  });
});
