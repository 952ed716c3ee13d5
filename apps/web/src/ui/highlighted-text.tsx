import { highlightSegments, type Span } from "@/lib/code-points";

/** Text with marked parts; spans count in Unicode code points. */
export function HighlightedText({ text, spans }: { text: string; spans: readonly Span[] }) {
  return highlightSegments(text, spans).map((segment, index) =>
    segment.marked ? <mark key={index}>{segment.text}</mark> : <span key={index}>{segment.text}</span>,
  );
}
