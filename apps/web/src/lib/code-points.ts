/**
 * The API counts text in Unicode code points, JavaScript strings in UTF-16 units: an emoji is one for the server and two
 * here. Everything that highlights goes through this file.
 */
export interface Span {
  start: number;
  end: number;
}

export interface Segment {
  text: string;
  marked: boolean;
}

const SURROGATE_PAIR = /[\uD800-\uDBFF][\uDC00-\uDFFF]/;

/**
 * A function from code point offsets to UTF-16 offsets of one text. Offsets may be asked for in any order; each is clamped
 * to the text. Texts without surrogate pairs cost nothing; others one pass over the text.
 */
export function utf16Offsets(text: string): (codePoint: number) => number {
  if (!SURROGATE_PAIR.test(text)) return (codePoint) => Math.max(0, Math.min(text.length, codePoint));
  const starts: number[] = [];
  for (let index = 0; index < text.length; index += 1) {
    starts.push(index);
    const unit = text.charCodeAt(index);
    const next = text.charCodeAt(index + 1);
    if (unit >= 0xd800 && unit <= 0xdbff && next >= 0xdc00 && next <= 0xdfff) index += 1;
  }
  return (codePoint) => (codePoint <= 0 ? 0 : (starts[codePoint] ?? text.length));
}

/** How many code points a text has. */
export function codePointLength(text: string): number {
  if (!SURROGATE_PAIR.test(text)) return text.length;
  let count = 0;
  for (const character of text) count += character.length > 0 ? 1 : 0;
  return count;
}

/** The part of a text between two code point offsets. */
export function sliceCodePoints(text: string, start: number, end: number): string {
  const at = utf16Offsets(text);
  return text.slice(at(start), at(end));
}

/** Sorted, clamped to `length`, and with touching or overlapping spans joined; empty and inverted ones are dropped. */
export function mergeSpans(spans: readonly Span[], length: number): Span[] {
  const merged: Span[] = [];
  const sorted = spans
    .map((span) => ({ start: Math.max(0, span.start), end: Math.min(length, span.end) }))
    .filter((span) => span.end > span.start)
    .sort((a, b) => a.start - b.start);
  for (const span of sorted) {
    const last = merged.at(-1);
    if (last && span.start <= last.end) last.end = Math.max(last.end, span.end);
    else merged.push(span);
  }
  return merged;
}

/** Cuts a text into marked and unmarked pieces; put together they are the text again. */
export function highlightSegments(text: string, spans: readonly Span[]): Segment[] {
  const at = utf16Offsets(text);
  const segments: Segment[] = [];
  let position = 0;
  for (const span of mergeSpans(spans, codePointLength(text))) {
    const start = at(span.start);
    const end = at(span.end);
    if (start > position) segments.push({ text: text.slice(position, start), marked: false });
    segments.push({ text: text.slice(start, end), marked: true });
    position = end;
  }
  if (position < text.length) segments.push({ text: text.slice(position), marked: false });
  return segments;
}
