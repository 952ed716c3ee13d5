import { expect, it } from "vitest";

import { digits } from "./code-field";

it("keeps six digits of whatever is pasted", () => {
  expect(digits("123 456")).toBe("123456");
  expect(digits("123-456\n")).toBe("123456");
  expect(digits("1234567")).toBe("123456");
  expect(digits("no")).toBe("");
});
