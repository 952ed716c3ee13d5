import { describe, expect, it } from "vitest";

import { formatBytes, formatDuration, formatMoney, formatMoneyList, formatRelative, formatSecondsLeft, ordinal, parseMoneyMicros } from "./format";

describe("formatMoney", () => {
  it("is exact from a millionth to billions", () => {
    const usd = (amount_micros: number) => formatMoney({ amount_micros, currency: "USD" });
    expect(usd(0)).toBe("$0.00");
    expect(usd(1)).toBe("$0.000001");
    expect(usd(42_000)).toBe("$0.042");
    expect(usd(100_000)).toBe("$0.10");
    expect(usd(1_500_000)).toBe("$1.50");
    expect(usd(-1_234_567)).toBe("-$1.234567");
    expect(usd(9_007_199_254_740_991)).toBe("$9,007,199,254.740991");
  });

  it("knows other currencies and survives an unknown one", () => {
    expect(formatMoney({ amount_micros: 12_345_000_000, currency: "EUR" })).toBe("€12,345.00");
    expect(formatMoney({ amount_micros: 2_000_000, currency: "CHF" })).toBe("CHF 2.00");
    expect(formatMoney({ amount_micros: 2_000_000, currency: "credits!" })).toBe("credits! 2.00");
  });

  it("never adds up different currencies", () => {
    expect(formatMoneyList([{ amount_micros: 1_000_000, currency: "USD" }, { amount_micros: 2_000_000, currency: "EUR" }])).toBe("$1.00 + €2.00");
    expect(formatMoneyList([])).toBe("—");
  });
});

describe("parseMoneyMicros", () => {
  it("reads both decimal marks exactly", () => {
    expect(parseMoneyMicros("0.15")).toBe(150_000);
    expect(parseMoneyMicros(" 12,5 ")).toBe(12_500_000);
    expect(parseMoneyMicros("1.234567")).toBe(1_234_567);
    expect(parseMoneyMicros("3")).toBe(3_000_000);
  });

  it("refuses what is not an amount", () => {
    for (const text of ["", "-1", "1.2345678", "1e3", "abc", "1.2.3", "."]) expect(parseMoneyMicros(text)).toBeNull();
  });
});

describe("formatDuration", () => {
  it("picks the unit a person would", () => {
    const cases: [number, string][] = [
      [0, "0 ms"], [0.42, "0.4 ms"], [7.4, "7 ms"], [999.4, "999 ms"], [999.6, "1.0 s"], [4_240, "4.2 s"], [9_960, "10 s"], [59_600, "1 min"],
      [200_000, "3 min 20 s"], [3_600_000, "1 h"], [7_500_000, "2 h 5 min"], [86_400_000, "1 d"], [273_600_000, "3 d 4 h"],
    ];
    for (const [milliseconds, text] of cases) expect(formatDuration(milliseconds)).toBe(text);
  });
});

describe("other formats", () => {
  it("rounds estimates", () => {
    expect([0.5, 6, 42, 130, 7300].map(formatSecondsLeft)).toEqual(["almost done", "a few seconds left", "about 40 s left", "about 2 min left", "about 2 h left"]);
  });

  it("sizes", () => {
    expect([0, 999, 1_000, 90_868_376, 999_600, 491_400_064, 1_500_000_000].map(formatBytes)).toEqual(["0 B", "999 B", "1.0 kB", "91 MB", "1.0 MB", "491 MB", "1.5 GB"]);
  });

  it("ordinals", () => {
    expect([1, 2, 3, 4, 11, 12, 13, 21, 102].map(ordinal)).toEqual(["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd"]);
  });

  it("relative times, of microseconds", () => {
    const now = 1_800_000_000_000;
    const ago = (seconds: number) => formatRelative((now - seconds * 1000) * 1000, now);
    expect([0, 59, 61, 7200, 3 * 86_400].map(ago)).toEqual(["just now", "59 s ago", "1 min ago", "2 h ago", "3 d ago"]);
    expect(ago(-7200)).toBe("in 2 h");
    expect(ago(30 * 86_400)).toMatch(/^\w{3} \d{1,2}, \d{4}$/);
  });
});
