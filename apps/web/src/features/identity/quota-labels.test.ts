import { expect, test } from "vitest";

import { limitText, parseLimit, quotaSentence } from "./quota-labels";

test("a limit survives the form", () => {
  for (const bytes of [0, 1, 500_000_000, 1_000_000_000, 12_345_678_901]) expect(parseLimit("storage_bytes", limitText("storage_bytes", bytes))).toBe(bytes);
  expect(parseLimit("users", limitText("users", 25))).toBe(25);
  expect(parseLimit("users", limitText("users", null))).toBeNull();
});

test("an empty field is no limit, and nonsense is not one either", () => {
  expect(parseLimit("documents", "  ")).toBeNull();
  for (const text of ["-1", "1.5", "ten", "1e9", "9999999999999999"]) expect(parseLimit("documents", text), text).toBe("invalid");
  for (const text of ["-1", "1,5", "1e9", "99999999"]) expect(parseLimit("storage_bytes", text), text).toBe("invalid");
  expect(parseLimit("storage_bytes", "1.5")).toBe(1_500_000_000);
});

test("use is told with its limit", () => {
  expect(quotaSentence({ resource: "users", used: 3, limit: 5, near: false })).toBe("3 of 5");
  expect(quotaSentence({ resource: "storage_bytes", used: 1500, limit: 2000, near: false })).toBe("1.5 kB of 2.0 kB");
  expect(quotaSentence({ resource: "documents", used: 12_000, limit: null, near: false })).toBe("12,000, no limit");
  expect(quotaSentence({ resource: "requests_per_minute", used: 0, limit: 600, near: false })).toBe("600");
  expect(quotaSentence({ resource: "requests_per_minute", used: 0, limit: null, near: false })).toBe("the installation's limit");
});
