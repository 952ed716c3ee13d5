import { expect, test } from "vitest";

import { capabilitiesText, withCapability } from "./capabilities";

test("capabilities are added once, taken away, and kept in their order", () => {
  expect(withCapability([], "vision", true)).toEqual(["vision"]);
  expect(withCapability(["vision"], "tools", true)).toEqual(["tools", "vision"]);
  expect(withCapability(["tools", "vision"], "tools", true)).toEqual(["tools", "vision"]);
  expect(withCapability(["tools", "vision"], "tools", false)).toEqual(["vision"]);
});

test("a model that can do nothing more says so", () => {
  expect(capabilitiesText([])).toBe("Text only");
  expect(capabilitiesText(["tools", "json_schema"])).toBe("Tools, JSON schema");
});
