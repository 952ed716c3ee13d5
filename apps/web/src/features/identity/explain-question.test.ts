import { describe, expect, it } from "vitest";

import { emptyQuestion, questionOf } from "./explain-question";

describe("questionOf", () => {
  it("leaves out what was left empty", () => {
    expect(questionOf(emptyQuestion("", "users:read"))).toEqual({ action: "users:read" });
    expect(questionOf({ ...emptyQuestion(" usr_1 ", "users:read"), path: "  " })).toEqual({ action: "users:read", principal: "usr_1" });
  });

  it("puts the thing and the circumstances where the server looks for them", () => {
    const draft = {
      ...emptyQuestion("key_1", "content:write"),
      resource: "kdoc_1", within: "col_1, col_2", address: "192.0.2.1", at: "2026-11-22T08:30", method: "POST", multiFactor: "no" as const,
    };
    expect(questionOf(draft)).toEqual({
      action: "content:write",
      principal: "key_1",
      resource: { id: "kdoc_1", within: ["col_1", "col_2"] },
      context: { address: "192.0.2.1", at: new Date("2026-11-22T08:30").getTime() * 1000, method: "POST", multi_factor: false },
    });
  });

  it("takes no time from a text that is none", () => {
    expect(questionOf({ ...emptyQuestion("", "users:read"), at: "soon" })).toEqual({ action: "users:read" });
  });
});
