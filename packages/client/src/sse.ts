/** One server-sent event, as dispatched after its blank line. */
export interface ServerSentEvent {
  event: string;
  data: string;
  id: string | null;
}

/** A line may not grow past this: a stream that never ends a line would otherwise fill the memory. */
const LINE_CHARACTERS_MAX = 4 * 1024 * 1024;

/**
 * Incremental parser of `text/event-stream` (WHATWG HTML, 9.2.6). Feed it decoded text in pieces of any size; it returns
 * the events completed by that piece. Lines may end in LF, CR or CRLF, also when a CRLF is split between two pieces.
 */
export class SseParser {
  private buffer = "";
  /** Characters of the buffer that were already searched for a line end. */
  private searched = 0;
  private skipLineFeed = false;
  private atStart = true;
  private data: string[] = [];
  private event = "";
  private id: string | null = null;

  push(chunk: string): ServerSentEvent[] {
    let text = chunk;
    if (this.atStart && text.length > 0) {
      if (text.startsWith("\uFEFF")) text = text.slice(1);
      this.atStart = false;
    }
    if (this.skipLineFeed && text.length > 0) {
      if (text.startsWith("\n")) text = text.slice(1);
      this.skipLineFeed = false;
    }
    this.buffer += text;

    const events: ServerSentEvent[] = [];
    let lineStart = 0;
    for (let index = this.searched; index < this.buffer.length; index += 1) {
      const character = this.buffer[index];
      if (character !== "\n" && character !== "\r") continue;
      const completed = this.line(this.buffer.slice(lineStart, index));
      if (completed) events.push(completed);
      if (character === "\r") {
        if (index + 1 === this.buffer.length) this.skipLineFeed = true;
        else if (this.buffer[index + 1] === "\n") index += 1;
      }
      lineStart = index + 1;
    }
    this.buffer = this.buffer.slice(lineStart);
    this.searched = this.buffer.length;
    if (this.buffer.length > LINE_CHARACTERS_MAX) throw new Error("a line of the event stream is longer than 4 MiB");
    return events;
  }

  private line(line: string): ServerSentEvent | null {
    if (line === "") return this.dispatch();
    if (line.startsWith(":")) return null;
    const colon = line.indexOf(":");
    const field = colon === -1 ? line : line.slice(0, colon);
    let value = colon === -1 ? "" : line.slice(colon + 1);
    if (value.startsWith(" ")) value = value.slice(1);
    if (field === "data") this.data.push(value);
    else if (field === "event") this.event = value;
    else if (field === "id" && !value.includes("\0")) this.id = value;
    return null;
  }

  private dispatch(): ServerSentEvent | null {
    const { data, event } = this;
    this.data = [];
    this.event = "";
    if (data.length === 0) return null;
    return { event: event === "" ? "message" : event, data: data.join("\n"), id: this.id };
  }
}

/** Reads a response body to its end, yielding events as they complete. Aborting the request ends it with the abort error. */
export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerSentEvent> {
  const parser = new SseParser();
  const decoder = new TextDecoder();
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      yield* parser.push(decoder.decode(value, { stream: true }));
    }
    yield* parser.push(decoder.decode());
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
