import { createPlasmaClient } from "@plasma/client/client";
import { afterEach, describe, expect, it, vi } from "vitest";

import { StepUpGate } from "./gate";
import { stepUpMiddleware } from "./middleware";

const refusal = () => new Response(JSON.stringify({ title: "Forbidden", status: 403, reason: "step_up_required" }), { status: 403, headers: { "content-type": "application/problem+json" } });
const success = () => new Response(JSON.stringify({ name: "Ada" }), { status: 200, headers: { "content-type": "application/json" } });

function setUp(answers: Response[]) {
  const sent: { method: string; body: string }[] = [];
  const send = vi.fn(async (request: Request) => {
    sent.push({ method: request.method, body: await request.text() });
    return answers.shift() ?? success();
  });
  vi.stubGlobal("fetch", send);
  const gate = new StepUpGate();
  const client = createPlasmaClient({ baseUrl: "http://plasma.test" });
  client.use(stepUpMiddleware(gate, send));
  return { gate, client, sent };
}

afterEach(() => {
  vi.unstubAllGlobals();
});

describe("a dangerous request", () => {
  it("is sent again, body and all, once the person has proved who they are", async () => {
    const { gate, client, sent } = setUp([refusal(), success()]);
    gate.subscribe(() => gate.isAsking() && queueMicrotask(() => gate.settle(true)));
    const { response } = await client.PATCH("/api/v1/me", { body: { name: "Ada" } });
    expect(response.status).toBe(200);
    expect(sent).toEqual([{ method: "PATCH", body: '{"name":"Ada"}' }, { method: "PATCH", body: '{"name":"Ada"}' }]);
  });

  it("stays refused when they will not, or nobody can be asked", async () => {
    const unwilling = setUp([refusal()]);
    unwilling.gate.subscribe(() => unwilling.gate.isAsking() && queueMicrotask(() => unwilling.gate.settle(false)));
    expect((await unwilling.client.GET("/api/v1/me")).response.status).toBe(403);
    expect(unwilling.sent).toHaveLength(1);
    const alone = setUp([refusal()]);
    expect((await alone.client.GET("/api/v1/me")).response.status).toBe(403);
  });

  it("asks once for several", async () => {
    const { gate, client, sent } = setUp([refusal(), refusal(), success(), success()]);
    let questions = 0;
    gate.subscribe(() => {
      if (!gate.isAsking()) return;
      questions += 1;
      if (questions === 2) queueMicrotask(() => gate.settle(true));
    });
    const answers = await Promise.all([client.GET("/api/v1/me"), client.GET("/api/v1/me")]);
    expect(answers.map(({ response }) => response.status)).toEqual([200, 200]);
    expect(sent).toHaveLength(4);
  });

  it("is let through when it is refused for something else", async () => {
    const other = new Response(JSON.stringify({ title: "Forbidden", status: 403, reason: "forbidden" }), { status: 403 });
    const { gate, client, sent } = setUp([other]);
    gate.subscribe(() => undefined);
    expect((await client.GET("/api/v1/me")).response.status).toBe(403);
    expect(sent).toHaveLength(1);
  });
});
