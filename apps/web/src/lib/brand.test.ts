import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";

import { brandVariables } from "./brand";

describe("brandVariables", () => {
  it("makes the accent's variables for both themes", () => {
    const variables = brandVariables({ accent_color: "#0b6b4f", accent_color_dark: "#7fd3a0" });
    expect(variables?.["--accent"]).toBe("light-dark(#0b6b4f, #7fd3a0)");
    expect(variables?.["--accent-strong"]).toContain("#0b6b4f 75%, black");
    expect(Object.keys(variables ?? {})).toEqual(["--accent", "--accent-strong", "--accent-soft"]);
  });

  it("leaves the program's own where a colour is missing or is none", () => {
    expect(brandVariables(null)).toBeNull();
    expect(brandVariables({ accent_color: null, accent_color_dark: null })).toBeNull();
    for (const hostile of ["red", "#fff", "#0b6b4f; background: url(x)", "url(javascript:alert(1))", "#0B6B4F"]) {
      expect(brandVariables({ accent_color: hostile, accent_color_dark: "#7fd3a0" })).toBeNull();
    }
  });

  it("mixes with the surfaces of tokens.css", () => {
    const css = readFileSync(path.resolve(import.meta.dirname, "../../../../packages/tokens/src/tokens.css"), "utf8");
    const soft = brandVariables({ accent_color: "#000000", accent_color_dark: "#ffffff" })?.["--accent-soft"] ?? "";
    const [, light, dark] = /--raised: light-dark\((#\w{6}), (#\w{6})\)/.exec(css) ?? [];
    expect(soft).toContain(`10%, ${light})`);
    expect(soft).toContain(`10%, ${dark})`);
  });
});
