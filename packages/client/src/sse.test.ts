import { describe, expect, it } from "vitest";

import { readEvents, SseParser, type ServerSentEvent } from "./sse";

function parse(...chunks: string[]): ServerSentEvent[] {
  const parser = new SseParser();
  return chunks.flatMap((chunk) => parser.push(chunk));
}

const stream = 'event: token\ndata: {"text":"Grüße 🌍"}\n\n: keep-alive\n\nevent: done\ndata: {"answer":\ndata: "x"}\n\n';
const expected = [
  { event: "token", data: '{"text":"Grüße 🌍"}', id: null },
  { event: "done", data: '{"answer":\n"x"}', id: null },
];

describe("SseParser", () => {
  it("reads names, multi-line data and skips comments", () => {
    expect(parse(stream)).toEqual(expected);
  });

  it("gives the same events however the text is split", () => {
    for (let cut = 0; cut <= stream.length; cut += 1) {
      expect(parse(stream.slice(0, cut), stream.slice(cut))).toEqual(expected);
    }
    expect(parse(...stream)).toEqual(expected);
  });

  it("accepts CRLF and CR line ends, also when CRLF is split between chunks", () => {
    const crlf = stream.replaceAll("\n", "\r\n");
    for (let cut = 0; cut <= crlf.length; cut += 1) {
      expect(parse(crlf.slice(0, cut), crlf.slice(cut))).toEqual(expected);
    }
    expect(parse(stream.replaceAll("\n", "\r"))).toEqual(expected);
  });

  it("removes only one space after the colon and ignores a byte order mark", () => {
    expect(parse("\uFEFFdata:  two\ndata:none\n\n")).toEqual([{ event: "message", data: " two\nnone", id: null }]);
  });

  it("dispatches nothing without data, and nothing before the blank line", () => {
    expect(parse("event: token\n\n")).toEqual([]);
    expect(parse("data: unfinished\n")).toEqual([]);
  });

  it("does not carry an event name over to the next event", () => {
    expect(parse("event: token\n\ndata: a\n\n")).toEqual([{ event: "message", data: "a", id: null }]);
  });

  it("keeps the last id and knows a field without a colon", () => {
    expect(parse("id: 7\ndata\n\ndata: b\n\n")).toEqual([
      { event: "message", data: "", id: "7" },
      { event: "message", data: "b", id: "7" },
    ]);
  });

  it("refuses a line without end", () => {
    const parser = new SseParser();
    const piece = "x".repeat(1024 * 1024);
    expect(() => {
      for (let count = 0; count < 6; count += 1) parser.push(piece);
    }).toThrow(/4 MiB/);
  });
});

describe("readEvents", () => {
  it("decodes characters that are split between byte chunks", async () => {
    const bytes = new TextEncoder().encode(stream);
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
        controller.close();
      },
    });
    const events: ServerSentEvent[] = [];
    for await (const event of readEvents(body)) events.push(event);
    expect(events).toEqual(expected);
  });

  it("releases the connection when the reader stops early", async () => {
    let cancelled = false;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.enqueue(new TextEncoder().encode("data: a\n\n"));
      },
      cancel() {
        cancelled = true;
      },
    });
    for await (const event of readEvents(body)) {
      expect(event.data).toBe("a");
      break;
    }
    expect(cancelled).toBe(true);
  });
});
