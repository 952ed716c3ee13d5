import type { UsageLine } from "@plasma/client/types";
import { describe, expect, it } from "vitest";

import { daysOf, lastDays } from "./usage-range";
import { mainCurrency, memberName, usageSeries } from "./usage-series";

function line(day: string, model: string, more: Partial<UsageLine> = {}): UsageLine {
  return {
    day, model, provider: null, key: null, key_name: null, user: null, user_name: null, team: null, team_name: null, route: null,
    calls: 1, failed: 0, cancelled: 0, cache_hits: 0, error_rate: 0, input_tokens: 10, cached_input_tokens: 0, cache_write_tokens: 0,
    output_tokens: 2, reasoning_tokens: 0, cost: [], unpriced_calls: 1, duration_ms_mean: 1, duration_ms_p50: 1, duration_ms_p95: 1,
    first_token_ms_p50: null, first_token_ms_p95: null, ...more,
  };
}

const days = ["2026-11-01", "2026-11-02"];

describe("usageSeries", () => {
  it("has a value for each day and puts small members together", () => {
    const lines = Array.from({ length: 8 }, (_, index) => line("2026-11-02", `m${index}`, { calls: 8 - index }));
    const series = usageSeries(lines, days, "model", "calls", "USD");
    expect(series.map((one) => one.name)).toEqual(["m0", "m1", "m2", "m3", "m4", "3 more"]);
    expect(series[0]?.values).toEqual([0, 8]);
    expect(series[5]?.values).toEqual([0, 6]);
  });

  it("adds members of one name, and splits a measure when nothing else is told apart", () => {
    const lines = [line("2026-11-01", "a"), line("2026-11-01", "a"), line("2026-12-01", "a")];
    expect(usageSeries(lines, days, "model", "tokens", "USD")).toEqual([{ name: "a", values: [24, 0] }]);
    expect(usageSeries(lines, days, "none", "tokens", "USD")).toEqual([{ name: "Read", values: [20, 0] }, { name: "Written", values: [4, 0] }]);
  });

  it("calls a team by its name, by its id where that is not known, and calls without one as such", () => {
    const teams = [{ team: "team_1", team_name: "Blue" }, { team: "team_2" }, {}];
    expect(teams.map((team) => memberName(line("2026-11-01", "a", team), "team"))).toEqual(["Blue", "team_2", "without a team"]);
  });

  it("counts one currency only", () => {
    const cost = [{ currency: "EUR", amount_micros: 5 }, { currency: "USD", amount_micros: 7 }];
    const one = line("2026-11-01", "a", { cost });
    expect(mainCurrency(one)).toBe("USD");
    expect(usageSeries([one], days, "none", "cost", "EUR")).toEqual([{ name: "Cost", values: [5, 0] }]);
  });
});

describe("ranges", () => {
  it("include both ends, by UTC", () => {
    const range = lastDays(3, Date.parse("2026-03-01T23:59:59Z"));
    expect(range).toEqual({ from: "2026-02-27", to: "2026-03-01" });
    expect(daysOf(range)).toEqual(["2026-02-27", "2026-02-28", "2026-03-01"]);
  });
});
