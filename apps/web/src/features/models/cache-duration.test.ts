import { describe, expect, it } from "vitest";

import { durationText, inSeconds, inUnit } from "./cache-duration";

describe("how long an answer holds", () => {
  it("is shown in the largest unit that divides it", () => {
    expect(inUnit(3_600)).toEqual({ count: 1, unit: "hours" });
    expect(inUnit(5_400)).toEqual({ count: 90, unit: "minutes" });
    expect(inUnit(2_592_000)).toEqual({ count: 30, unit: "days" });
    expect(inUnit(61)).toEqual({ count: 61, unit: "seconds" });
    expect(durationText(86_400)).toBe("1 day");
    expect(durationText(7_200)).toBe("2 hours");
  });

  it("comes back as the same number of seconds", () => {
    for (const seconds of [1, 59, 60, 3_600, 86_401, 2_592_000]) {
      const { count, unit } = inUnit(seconds);
      expect(inSeconds(count, unit)).toBe(seconds);
    }
  });
});
