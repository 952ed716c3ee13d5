import { networkProblem, ProblemError, problemFrom } from "@plasma/client/problem";
import { readEvents } from "@plasma/client/sse";
import type { AskRequest, AskStreamEvent, DraftRequest, DraftStreamEvent, Problem } from "@plasma/client/types";

/** What the server says while it answers or drafts, in the order in which it says it. */
export type AnswerEvent = Named<Exclude<AskStreamEvent | DraftStreamEvent, { event: "error" }>>;

/** The same with `type` for its name, as in every other union here. */
type Named<Event> = Event extends { event: infer Name; data: infer Data } ? { type: Name; data: Data } : never;

export function streamAnswer(request: AskRequest, signal: AbortSignal): AsyncGenerator<AnswerEvent> {
  return stream("/api/v1/ask", request, signal);
}

export function streamDraft(request: DraftRequest, signal: AbortSignal): AsyncGenerator<AnswerEvent> {
  return stream("/api/v1/content/drafts", request, signal);
}

const KNOWN = new Set<string>(["passage", "progress", "token", "citation", "document", "done"] satisfies AnswerEvent["type"][]);

async function* stream(path: string, body: unknown, signal: AbortSignal): AsyncGenerator<AnswerEvent> {
  const response = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "text/event-stream" },
    credentials: "same-origin",
    body: JSON.stringify(body),
    signal,
  });
  if (!response.ok || !response.body) {
    const text = await response.text();
    throw new ProblemError(problemFrom(response.status, parseJson(text) ?? text));
  }
  let finished = false;
  for await (const event of readEvents(response.body)) {
    if (event.event === "error") throw new ProblemError(JSON.parse(event.data) as Problem);
    // An event that this version does not know is not an error: the server may be newer.
    if (!KNOWN.has(event.event)) continue;
    finished ||= event.event === "done";
    yield { type: event.event, data: JSON.parse(event.data) } as AnswerEvent;
  }
  if (!finished) {
    throw new ProblemError({
      ...networkProblem(),
      title: "The answer broke off",
      detail: "The connection ended before the answer was complete.",
      remedy: "Ask again. What was already read stays in the model's cache, so it is usually faster.",
    });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
