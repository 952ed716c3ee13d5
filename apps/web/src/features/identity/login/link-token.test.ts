import { expect, it } from "vitest";

import { linkToken } from "./link-token";

it("reads the token of a link and nothing else", () => {
  expect(linkToken("#token=pll_0123abc")).toBe("pll_0123abc");
  expect(linkToken("#a=b&token=pll_0123abc")).toBe("pll_0123abc");
  for (const hash of ["", "#", "#token=", "#token=pls_0123", "#token=pll_0123%22", "#pll_0123"]) expect(linkToken(hash)).toBeNull();
});
