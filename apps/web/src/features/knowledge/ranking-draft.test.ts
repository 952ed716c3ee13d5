import { describe, expect, it } from "vitest";

import { BUILT_IN, differs, draftOf, requestOf, settingsOf } from "./ranking-draft";

const OWN = {
  fusion: { method: "rrf" as const, vector_weight: 2 },
  recency: { half_life_days: 7 },
  popularity: { field: "views", weight: 1 },
  rerank: { model: "acme/rerank", top: 20 },
  per_document: 2,
};

describe("ranking", () => {
  it("says nothing where the collection's own ranking is wanted", () => {
    expect(requestOf(BUILT_IN, {})).toEqual({});
    expect(requestOf(draftOf(OWN), OWN)).toEqual({});
    expect(differs(draftOf(OWN), OWN)).toBe(false);
  });

  it("reads a collection's settings with what is built in", () => {
    expect(draftOf(OWN)).toEqual({
      ...BUILT_IN,
      method: "rrf",
      weights: { vector: 2, text: 1 },
      recencyField: "$updated_at",
      halfLifeDays: 7,
      popularityField: "views",
      popularityWeight: 1,
      reranker: "acme/rerank",
      rerankTop: 20,
      perDocument: 2,
    });
    expect(draftOf({ recency: { weight: 0 }, popularity: { field: "views", weight: 0 }, rerank: { model: "a", top: 0 } })).toEqual(BUILT_IN);
  });

  it("switches off what the collection has on", () => {
    expect(requestOf(BUILT_IN, OWN)).toEqual({
      fusion: { method: "weighted", vector_weight: 0.8, text_weight: 0.2 },
      deduplicate: true,
      diversity: 0,
      per_document: 100,
      recency: { weight: 0 },
      popularity: { weight: 0 },
      rerank: { top: 0 },
    });
  });

  it("leaves the weights to the query where nobody has set any", () => {
    expect(requestOf({ ...BUILT_IN, method: "rrf" }, {}).fusion).toEqual({ method: "rrf" });
    expect(requestOf({ ...BUILT_IN, weights: { vector: 2, text: 1 } }, {}).fusion).toEqual({ method: "weighted", vector_weight: 2, text_weight: 1 });
  });

  it("keeps only what is not built in", () => {
    expect(settingsOf(BUILT_IN)).toEqual({});
    expect(draftOf(settingsOf(draftOf(OWN)))).toEqual(draftOf(OWN));
    expect(settingsOf({ ...BUILT_IN, fold: false, diversity: 0.5 })).toEqual({ deduplicate: false, diversity: 0.5 });
  });
});
