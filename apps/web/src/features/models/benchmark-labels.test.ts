import { describe, expect, it } from "vitest";

import { costPerCase, formatP, formatPoints, formatShare, subjectNames } from "./benchmark-labels";

function model(name: string, benchmark: string) {
  return {
    benchmark, benchmark_name: `run ${benchmark}`, model: name, answered: 2, failed: 0, quality: null, first_token_ms: null, tokens_per_second: null,
    duration_ms: null, cost: { amount_micros: 241, currency: "USD" }, cost_micros_per_case: 120.5, categories: [],
  };
}

describe("figures of benchmarks", () => {
  it("are short and signed", () => {
    expect(formatShare(0.875)).toBe("87.5%");
    expect(formatPoints(0.125)).toBe("+12.5");
    expect(formatPoints(-0.03)).toBe("−3.0");
    expect(formatP(0.0004)).toBe("< 0.001");
    expect(formatP(0.0421)).toBe("0.042");
  });

  it("say what a case costs, or that nobody knows", () => {
    expect(costPerCase(model("a", "1"))).toBe("$0.000121");
    expect(costPerCase({ ...model("a", "1"), cost: null })).toBe("—");
  });

  it("name the run only where there are several", () => {
    expect(subjectNames([model("a", "1"), model("b", "1")])).toEqual(["a", "b"]);
    expect(subjectNames([model("a", "1"), model("a", "2")])).toEqual(["a · run 1", "a · run 2"]);
  });
});
