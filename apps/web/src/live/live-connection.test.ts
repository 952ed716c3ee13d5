import type { PlasmaEvent } from "@plasma/client/types";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { LiveConnection } from "./live-connection";

class FakeSocket {
  onopen: (() => void) | null = null;
  onmessage: ((message: { data: string }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  sent: { type: string; after: string | null }[] = [];
  send(text: string) {
    this.sent.push(JSON.parse(text));
  }
  close(code = 1006) {
    this.onclose?.({ code });
  }
  say(message: unknown) {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
}

const event = (id: string, type = "knowledge.document.ready", subject = "kdoc_1"): PlasmaEvent => ({
  id, type, subject, actor: { kind: "user", id: "usr_1" }, request_id: "req_1", at: 1, data: {},
});

function setUp() {
  const sockets: FakeSocket[] = [];
  const events: string[] = [];
  const onGap = vi.fn();
  const onRefused = vi.fn();
  const connection = new LiveConnection({
    url: () => "ws://test/api/v1/live",
    onEvent: (received) => events.push(received.id),
    onGap,
    onRefused,
    open: () => {
      const socket = new FakeSocket();
      sockets.push(socket);
      return socket as unknown as WebSocket;
    },
  });
  const latest = () => sockets.at(-1) as FakeSocket;
  return { connection, sockets, events, onGap, onRefused, latest };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("LiveConnection", () => {
  it("resumes after the last event it saw", () => {
    const { connection, latest, events } = setUp();
    connection.start();
    latest().onopen?.();
    expect(latest().sent[0]).toMatchObject({ type: "subscribe", after: null });
    latest().say({ type: "ready", head: "evt_1" });
    expect(connection.getSnapshot().phase).toBe("open");
    latest().say({ type: "event", event: event("evt_2") });
    latest().close();
    expect(connection.getSnapshot().phase).toBe("waiting");
    vi.advanceTimersByTime(1000);
    latest().onopen?.();
    expect(latest().sent[0]?.after).toBe("evt_2");
    expect(events).toEqual(["evt_2"]);
  });

  it("resumes from the head when it broke before any event", () => {
    const { connection, latest } = setUp();
    connection.start();
    latest().onopen?.();
    latest().say({ type: "ready", head: "evt_9" });
    latest().close();
    vi.advanceTimersByTime(1000);
    latest().onopen?.();
    expect(latest().sent[0]?.after).toBe("evt_9");
  });

  it("waits longer after each failure, up to a limit, and starts over once it was ready", () => {
    const { connection, sockets, latest } = setUp();
    connection.start();
    const waits: number[] = [];
    for (let attempt = 0; attempt < 10; attempt += 1) {
      latest().close();
      waits.push((connection.getSnapshot().retryAtMs ?? 0) - Date.now());
      vi.advanceTimersByTime(30_000);
    }
    expect(sockets).toHaveLength(11);
    waits.forEach((wait, attempt) => {
      const ceiling = Math.min(30_000, 500 * 2 ** attempt);
      expect(wait).toBeGreaterThanOrEqual(ceiling / 2);
      expect(wait).toBeLessThanOrEqual(ceiling);
    });
    latest().onopen?.();
    latest().say({ type: "ready", head: null });
    latest().close();
    expect((connection.getSnapshot().retryAtMs ?? 0) - Date.now()).toBeLessThanOrEqual(500);
  });

  it("starts afresh and reports a gap when the server refuses to resume", () => {
    const { connection, latest, onGap } = setUp();
    connection.start();
    latest().onopen?.();
    latest().say({ type: "ready", head: "evt_1" });
    latest().close();
    vi.advanceTimersByTime(1000);
    latest().onopen?.();
    expect(onGap).not.toHaveBeenCalled();
    latest().close(4404);
    expect(onGap).toHaveBeenCalledTimes(1);
    vi.advanceTimersByTime(2000);
    latest().onopen?.();
    expect(latest().sent[0]?.after).toBeNull();
  });

  it("keeps progress until the document is done, and survives nonsense", () => {
    const { connection, latest } = setUp();
    connection.start();
    latest().onopen?.();
    latest().say({ type: "progress", document_id: "kdoc_1", collection_id: "col_1", state: "embedding", done: 4, total: 10, seconds_left: 3 });
    expect(connection.getSnapshot().progress.get("kdoc_1")).toEqual({ state: "embedding", done: 4, total: 10, secondsLeft: 3 });
    latest().onmessage?.({ data: "not json" });
    latest().say({ type: "event", event: event("evt_3") });
    expect(connection.getSnapshot().progress.size).toBe(0);
  });

  it("asks who is signed in when the server ends the session", () => {
    const { connection, latest, onRefused } = setUp();
    connection.start();
    latest().close(1006);
    expect(onRefused).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1000);
    latest().close(4401);
    expect(onRefused).toHaveBeenCalledTimes(1);
  });

  it("does not reconnect after it was stopped", () => {
    const { connection, sockets } = setUp();
    connection.start();
    connection.stop();
    vi.advanceTimersByTime(120_000);
    expect(sockets).toHaveLength(1);
    expect(connection.getSnapshot().phase).toBe("off");
  });
});
