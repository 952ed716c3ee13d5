import type { CollectionShard } from "@plasma/client/types";
import { describe, expect, it } from "vitest";

import { lagText, placeText, recallText, shardState, silentShards } from "./placement-labels";

const shard: CollectionShard = {
  number: 0,
  node: "a",
  state: "ready",
  detail: null,
  passages: 3000,
  has_index: true,
  ef_search: 100,
  recall: 0.9953,
  recall_low: 0.991,
  lag_ms: 0,
};

describe("placement", () => {
  it("says where the vectors are", () => {
    expect(placeText({ nodes: [], split: 0 })).toBe("in the processes' own indexes");
    expect(placeText({ nodes: ["a"], split: 1 })).toBe("on a");
    expect(placeText({ nodes: ["a", "b", "c"], split: 6 })).toBe("in 6 parts on a, b and c");
  });

  it("says how exactly a part is searched", () => {
    expect(recallText(shard)).toBe("finds 99.5% (at least 99.1%), effort 100");
    expect(recallText({ ...shard, has_index: false, recall: null, ef_search: null })).toBe("compared one by one");
    expect(recallText({ ...shard, recall: null })).toBe("not measured yet");
  });

  it("tells parts that do not answer", () => {
    const parts = [shard, { ...shard, state: "unreachable" }, { ...shard, state: "copying" }, { ...shard, state: "indexing" }];
    expect(silentShards({ nodes: ["a"], split: 4, shards: parts }).map((part) => part.state)).toEqual(["unreachable", "copying"]);
    expect(shardState({ ...shard, state: "something new" })).toEqual({ label: "something new", tone: "plain" });
    expect([lagText(null), lagText(0), lagText(4200)]).toEqual(["unknown", "up to date", "4.2 s behind"]);
  });
});
