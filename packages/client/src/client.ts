import createClient, { type Client } from "openapi-fetch";

import { ProblemError, problemFrom } from "./problem";
import type { paths } from "./types";

export type { Middleware } from "openapi-fetch";
export type PlasmaClient = Client<paths>;

/** `baseUrl` is empty for the dashboard (same origin, session cookie); other callers pass an address and a key. */
export function createPlasmaClient(options: { baseUrl?: string; token?: string } = {}): PlasmaClient {
  return createClient<paths>({
    baseUrl: options.baseUrl ?? "",
    credentials: "same-origin",
    headers: options.token ? { authorization: `Bearer ${options.token}` } : {},
  });
}

type Result<T> = { data?: T; error?: unknown; response: Response };

/** The body of a successful answer; throws `ProblemError` for any other. Answers without a body give undefined. */
export async function unwrap<T>(request: Promise<Result<T>>): Promise<T> {
  const { data, error, response } = await request;
  if (!response.ok) throw new ProblemError(problemFrom(response.status, error));
  return data as T;
}
