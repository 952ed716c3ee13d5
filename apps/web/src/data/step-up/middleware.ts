import type { Middleware } from "@plasma/client/client";

import type { StepUpGate } from "./gate";

const PROOF_PATH = "/api/v1/auth/step-up";

/**
 * A request that the server refuses because it is dangerous and the last proof is long ago: the person is asked to prove again
 * that it is them, and the request is sent once more. When they will not, the refusal stands.
 */
export function stepUpMiddleware(gate: StepUpGate, send: (request: Request) => Promise<Response> = (request) => fetch(request)): Middleware {
  const copies = new Map<string, Request>();
  return {
    onRequest({ request, id }) {
      // A body can be read once.
      if (request.method !== "GET") copies.set(id, request.clone());
      return undefined;
    },
    async onResponse({ request, response, schemaPath, id }) {
      const copy = copies.get(id) ?? request;
      copies.delete(id);
      if (response.status !== 403 || schemaPath === PROOF_PATH || !(await wantsProof(response))) return undefined;
      return (await gate.ask()) ? send(copy) : undefined;
    },
    onError({ id }) {
      copies.delete(id);
    },
  };
}

async function wantsProof(response: Response): Promise<boolean> {
  const problem: unknown = await response.clone().json().catch(() => null);
  return typeof problem === "object" && problem !== null && "reason" in problem && problem.reason === "step_up_required";
}
