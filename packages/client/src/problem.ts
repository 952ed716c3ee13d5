import type { Problem } from "./types";

/** A failed request, with the server's problem details when it sent any. */
export class ProblemError extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail || problem.title);
    this.name = "ProblemError";
    this.problem = problem;
  }

  get status(): number {
    return this.problem.status;
  }
}

/** The problem that stands for "no answer came at all": the server is down or the network is gone. */
export function networkProblem(): Problem {
  return {
    type: "about:blank",
    title: "No answer from the server",
    status: 0,
    code: "unreachable",
    reason: "unreachable",
    detail: "The request did not reach Plasma, or its answer did not come back.",
    remedy: "Check that the server is running and that you are connected, then try again.",
  };
}

function isProblem(value: unknown): value is Problem {
  return typeof value === "object" && value !== null && "title" in value && "status" in value;
}

/** The text in an error of OpenAI's format, which `/v1/*` speaks. */
function openAiMessage(value: unknown): string | null {
  if (typeof value !== "object" || value === null || !("error" in value)) return null;
  const { error } = value;
  return typeof error === "object" && error !== null && "message" in error && typeof error.message === "string" ? error.message : null;
}

/** Turns whatever body came with a failed response into a problem; proxies and `/v1/*` do not speak problem+json. */
export function problemFrom(status: number, body: unknown): Problem {
  if (isProblem(body)) return body;
  const message = openAiMessage(body);
  if (message !== null) return { type: "about:blank", title: "Request failed", status, code: "unknown", reason: "unknown", detail: message };
  const detail = typeof body === "string" && body.length > 0 && body.length < 400 && !body.startsWith("<")
    ? body
    : `The server answered with status ${status} and no explanation.`;
  return { type: "about:blank", title: "Request failed", status, code: "unknown", reason: "unknown", detail };
}

/** Any thrown value as a problem, so that every error state can show detail and remedy. */
export function asProblem(error: unknown): Problem {
  if (error instanceof ProblemError) return error.problem;
  if (error instanceof TypeError) return networkProblem();
  const detail = error instanceof Error ? error.message : "Something unexpected happened in this page.";
  return { type: "about:blank", title: "Something went wrong", status: 0, code: "client", reason: "client", detail };
}
