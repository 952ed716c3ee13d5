import type { AskCitation, AskPassage } from "@plasma/client/types";

import { documentHref } from "@/features/knowledge/document-state";
import { sliceCodePoints } from "@/lib/code-points";

const TITLE_MAX = 120;

/** The answer as a Markdown document: the text as it was given, and the passages it cites as a list with links. */
export function answerAsDocument(question: string, answer: string, passages: readonly AskPassage[], citations: readonly AskCitation[]): { title: string; body: string } {
  const cited = passages.filter((passage) => citations.some((citation) => citation.number === passage.number));
  const sources = cited.map((passage) => {
    const citation = citations.find((candidate) => candidate.number === passage.number);
    const quote = citation ? sliceCodePoints(passage.text, citation.start, citation.end).replace(/\s+/g, " ").trim() : "";
    const link = `[${escapeBrackets(passage.title)}](${documentHref(passage.collection_id, passage.document_id, passage.passage_id)})`;
    return `${passage.number}. ${link}${quote ? `: “${quote}”` : ""}`;
  });
  const line = question.replace(/\s+/g, " ").trim();
  const title = Array.from(line).length > TITLE_MAX ? `${Array.from(line).slice(0, TITLE_MAX - 1).join("").trimEnd()}…` : line;
  return { title, body: sources.length > 0 ? `${answer.trim()}\n\n## Sources\n\n${sources.join("\n")}\n` : `${answer.trim()}\n` };
}

function escapeBrackets(text: string): string {
  return text.replace(/[[\]\\]/g, "\\$&");
}
