import type { IndexRecall } from "@plasma/client/types";
import { describe, expect, it } from "vitest";

import { formatShare, recallSentence } from "./index-state";

describe("formatShare", () => {
  it("keeps the digits that matter", () => {
    expect(formatShare(0.999)).toBe("99.9%");
    expect(formatShare(0.9934)).toBe("99.34%");
    expect(formatShare(1)).toBe("100%");
    expect(formatShare(0.0042)).toBe("0.42%");
    expect(formatShare(0.25)).toBe("25%");
  });
});

describe("recallSentence", () => {
  const recall: IndexRecall = {
    measured: 0.993, low: 0.99, high: 0.996, target: 0.99, queries: 300, measured_with: "queries", passages: 100_000, measured_at: null,
  };

  it("says what was measured with", () => {
    expect(recallSentence(recall)).toBe("between 99% and 99.6% with 95% confidence, by 300 recent searches");
    expect(recallSentence({ ...recall, measured_with: "passages" })).toContain("300 passages used as queries");
    expect(recallSentence({ ...recall, measured_with: null })).toContain("300 queries");
  });
});
