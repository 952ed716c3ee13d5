import type { DocumentState, LiveMessage, PlasmaEvent } from "@plasma/client/types";

export type LivePhase = "off" | "connecting" | "open" | "waiting";

export interface LiveProgress {
  state: DocumentState;
  done: number;
  total: number;
  secondsLeft: number | null;
}

export interface LiveSnapshot {
  phase: LivePhase;
  /** When the next attempt starts, in milliseconds since 1970, while waiting. */
  retryAtMs: number | null;
  /** What came over this connection, newest first. */
  events: readonly PlasmaEvent[];
  /** Progress of documents that are being ingested, by id. */
  progress: ReadonlyMap<string, LiveProgress>;
}

const TOPICS = ["knowledge.*", "content.*", "models.*", "identity.*"];
const EVENTS_MAX = 100;
const BACKOFF_FIRST_MS = 500;
const BACKOFF_MAX_MS = 30_000;
/** Why the server closes a connection. */
const CLOSE_SESSION_ENDED = 4401;
const CLOSE_FORBIDDEN = 4403;
const CLOSE_UNKNOWN_EVENT = 4404;

interface Options {
  url: () => string;
  onEvent: (event: PlasmaEvent) => void;
  /** Events may have been missed: whatever was loaded must be asked for again. */
  onGap: () => void;
  /** The session ended or lost its permission: who is signed in must be asked again. */
  onRefused: () => void;
  open?: (url: string) => WebSocket;
}

/**
 * The dashboard's one WebSocket. It reconnects with exponential backoff and jitter, and resumes after the last event that it
 * saw. When the server refuses to resume (the id is unknown to it), it starts afresh and reports a gap.
 */
export class LiveConnection {
  private snapshot: LiveSnapshot = { phase: "off", retryAtMs: null, events: [], progress: new Map() };
  private readonly listeners = new Set<() => void>();
  private socket: WebSocket | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private lastEventId: string | null = null;
  private failures = 0;
  private wanted = false;

  constructor(private readonly options: Options) {}

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly getSnapshot = (): LiveSnapshot => this.snapshot;

  start(): void {
    if (this.wanted) return;
    this.wanted = true;
    this.connect();
  }

  stop(): void {
    this.wanted = false;
    clearTimeout(this.timer);
    this.socket?.close();
    this.socket = null;
    this.update({ phase: "off", retryAtMs: null });
  }

  /** Tries at once, for instance when the browser says that the network is back. */
  retryNow(): void {
    if (!this.wanted || this.socket) return;
    clearTimeout(this.timer);
    this.connect();
  }

  private connect(): void {
    this.update({ phase: "connecting", retryAtMs: null });
    const socket = (this.options.open ?? ((url) => new WebSocket(url)))(this.options.url());
    this.socket = socket;
    const after = this.lastEventId;
    socket.onopen = () => {
      socket.send(JSON.stringify({ type: "subscribe", topics: TOPICS, after }));
    };
    socket.onmessage = (message: MessageEvent) => {
      const parsed = parseMessage(message.data);
      if (parsed?.type === "ready") {
        this.failures = 0;
        if (after === null && this.lastEventId === null) this.lastEventId = parsed.head;
        this.update({ phase: "open", retryAtMs: null });
      } else if (parsed) this.receive(parsed);
    };
    socket.onclose = ({ code }: CloseEvent) => {
      if (this.socket !== socket) return;
      this.socket = null;
      if (code === CLOSE_UNKNOWN_EVENT) {
        this.lastEventId = null;
        this.options.onGap();
      } else if (code === CLOSE_SESSION_ENDED || code === CLOSE_FORBIDDEN) this.options.onRefused();
      if (this.wanted) this.wait();
    };
  }

  private wait(): void {
    const ceiling = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** this.failures);
    const delay = ceiling / 2 + Math.random() * (ceiling / 2);
    this.failures += 1;
    this.update({ phase: "waiting", retryAtMs: Date.now() + delay });
    this.timer = setTimeout(() => this.connect(), delay);
  }

  private receive(message: LiveMessage): void {
    if (message.type === "progress") {
      const progress = new Map(this.snapshot.progress);
      progress.set(message.document_id, { state: message.state, done: message.done, total: message.total, secondsLeft: message.seconds_left });
      this.update({ progress });
    } else if (message.type === "event") {
      const { event } = message;
      this.lastEventId = event.id;
      const progress = new Map(this.snapshot.progress);
      if (event.subject && /\.(ready|failed|deleted|queued)$/.test(event.type)) progress.delete(event.subject);
      this.update({ events: [event, ...this.snapshot.events].slice(0, EVENTS_MAX), progress });
      this.options.onEvent(event);
    }
  }

  private update(change: Partial<LiveSnapshot>): void {
    this.snapshot = { ...this.snapshot, ...change };
    for (const listener of this.listeners) listener();
  }
}

function parseMessage(data: unknown): LiveMessage | null {
  if (typeof data !== "string") return null;
  try {
    return JSON.parse(data) as LiveMessage;
  } catch {
    return null;
  }
}
