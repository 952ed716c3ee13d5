import type { AskPassage } from "@plasma/client/types";
import { describe, expect, it } from "vitest";

import { answerAsDocument } from "./keep-as-document";

const passage: AskPassage = {
  number: 2, passage_id: "pas_2", document_id: "kdoc_1", collection_id: "col_1", title: "Plan [draft]", heading: null,
  text: "🚀🚀 We launch in May.", start: 0, end: 20, score: 0.5,
};
const citation = { number: 2, passage_id: "pas_2", document_id: "kdoc_1", start: 3, end: 21, answer_start: 0, answer_end: 6 };

describe("answerAsDocument", () => {
  it("keeps the answer and lists what it cites, with the quoted words", () => {
    const document = answerAsDocument("When  do we\nlaunch?", "In May [2].", [{ ...passage, number: 1 }, passage], [citation]);
    expect(document).toEqual({
      title: "When do we launch?",
      body: "In May [2].\n\n## Sources\n\n2. [Plan \\[draft\\]](/knowledge/document/?collection=col_1&document=kdoc_1&passage=pas_2): “We launch in May.”\n",
    });
  });

  it("cuts a long question between characters and needs no sources", () => {
    const document = answerAsDocument("🎉".repeat(200), "No.", [passage], []);
    expect(Array.from(document.title)).toHaveLength(120);
    expect(document.title.endsWith("🎉…")).toBe(true);
    expect(document.body).toBe("No.\n");
  });
});
