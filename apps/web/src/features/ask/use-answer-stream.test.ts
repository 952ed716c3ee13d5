import type { AskPassage } from "@plasma/client/types";
import { describe, expect, it } from "vitest";

import { answerReducer, IDLE, type AnswerState } from "./use-answer-stream";

const passage: AskPassage = {
  number: 1, passage_id: "pas_1", document_id: "kdoc_1", collection_id: "col_1", title: "Plan", heading: null, text: "…", start: 0, end: 1, score: 1,
};
const citation = { number: 1, passage_id: "pas_1", document_id: "kdoc_1", start: 0, end: 1, answer_start: 0, answer_end: 4 };

function run(state: AnswerState, ...actions: Parameters<typeof answerReducer>[1][]): AnswerState {
  return actions.reduce(answerReducer, state);
}

describe("answerReducer", () => {
  it("gathers passages, text and citations, and lets done have the last word", () => {
    const state = run(
      IDLE,
      { type: "start", atMs: 5 },
      { type: "event", event: { type: "passage", data: passage } },
      { type: "event", event: { type: "token", data: { text: "In " } } },
      { type: "event", event: { type: "token", data: { text: "May [1]" } } },
      { type: "event", event: { type: "citation", data: citation } },
    );
    expect(state).toMatchObject({ phase: "running", text: "In May [1]", startedAtMs: 5 });
    expect(state.citations).toHaveLength(1);
    const done = run(state, {
      type: "event",
      event: { type: "done", data: { answer: "In May [1].", call_id: "call_1", model: "m", usage: { input_tokens: 3, cached_input_tokens: 0, output_tokens: 4 }, cost: null, first_token_ms: 1, duration_ms: 2, finish_reason: "stop", citations: [citation] } },
    });
    expect(done).toMatchObject({ phase: "done", text: "In May [1]." });
    expect(done.citations).toEqual([citation]);
  });

  it("keeps what was written when it is stopped or fails, and a late failure changes nothing", () => {
    const state = run(IDLE, { type: "start", atMs: 1 }, { type: "event", event: { type: "token", data: { text: "Half" } } });
    expect(run(state, { type: "stop" })).toMatchObject({ phase: "stopped", text: "Half" });
    expect(run(state, { type: "fail", error: "gone" })).toMatchObject({ phase: "failed", text: "Half", error: "gone" });
    expect(run(state, { type: "stop" }, { type: "fail", error: "gone" })).toMatchObject({ phase: "stopped", error: null });
  });
});
