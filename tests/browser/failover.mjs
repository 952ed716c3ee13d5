// Shows what happens when a provider dies under load: node failover.mjs FOLDER
// Two simulated providers stand behind a route; the first one is killed while requests come in. Saves what the dashboard shows,
// prints what the callers saw, and fails when a caller saw an error that the second provider could have spared it.
import { mkdir } from "node:fs/promises";
import http from "node:http";
import path from "node:path";

import { openBrowser, settings, signIn } from "./support.mjs";

const [folder] = process.argv.slice(2);
const key = process.env.PLASMA_API_KEY;
if (!folder || !key) {
  console.error("usage: PLASMA_API_KEY=plk_… node failover.mjs FOLDER");
  process.exit(2);
}
await mkdir(folder, { recursive: true });

const CALLS = 200;
const PAUSE_MS = 50;
const KILLED_AFTER = 80;

/** A provider that streams a few words, slowly enough that some streams are under way when it dies. */
function provider(name) {
  const sockets = new Set();
  const server = http.createServer((request, response) => {
    if (request.method === "GET") {
      response.setHeader("content-type", "application/json");
      return response.end(JSON.stringify({ data: [{ id: "chat" }] }));
    }
    request.resume();
    response.setHeader("content-type", "text/event-stream");
    const words = `This answer comes from the ${name} provider.`.split(" ");
    const chunk = (delta, reason = null) =>
      `data: ${JSON.stringify({ id: "a", object: "chat.completion.chunk", created: 1, model: "chat", choices: [{ index: 0, delta, finish_reason: reason }] })}\n\n`;
    const usage = `data: ${JSON.stringify({ id: "a", object: "chat.completion.chunk", created: 1, model: "chat", choices: [], usage: { prompt_tokens: 9, completion_tokens: 7, total_tokens: 16 } })}\n\ndata: [DONE]\n\n`;
    const next = () => {
      const word = words.shift();
      if (word !== undefined) {
        response.write(chunk({ content: `${word} ` }));
        return setTimeout(next, 20);
      }
      response.write(chunk({}, "stop"));
      response.end(usage);
    };
    setTimeout(next, 30);
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  return {
    start: (port = 0) => new Promise((resolve) => server.listen(port, "127.0.0.1", () => resolve(server.address().port))),
    kill: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

async function call(method, address, body) {
  const response = await fetch(settings.url + address, {
    method,
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: body && JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${address}: ${response.status} ${text}`);
  return text === "" ? null : JSON.parse(text);
}

async function connect(name, port) {
  const { id } = await call("POST", "/api/v1/providers", { name, kind: "openai", base_url: `http://127.0.0.1:${port}/v1` });
  await call("POST", "/api/v1/models", { provider: id, name: "chat", kind: "chat", input_price_micros_per_million: 1_000_000, output_price_micros_per_million: 4_000_000 });
}

async function ask(number) {
  const response = await fetch(`${settings.url}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify({ model: "steady", stream: true, messages: [{ role: "user", content: `Question ${number}` }] }),
  });
  const text = await response.text();
  const said = [...text.matchAll(/"content":"([^"]*)"/g)].map((match) => match[1]).join("");
  const whole = response.ok && text.includes("data: [DONE]");
  return { whole, first: said.includes("first"), second: said.includes("second"), call: response.headers.get("plasma-call-id"), text };
}

const [first, second] = [provider("first"), provider("second")];
await connect("first", await first.start());
await connect("second", await second.start());
await call("PUT", "/api/v1/routes/steady", {
  strategy: "ordered",
  candidates: [{ model: "first/chat" }, { model: "second/chat" }],
  on_broken_stream: "continue_on_next",
});

const { context, close } = await openBrowser();
const page = context.pages()[0] ?? (await context.newPage());
const shot = async (title, address) => {
  await page.goto(address);
  await page.waitForLoadState("networkidle", { timeout: 5000 }).catch(() => undefined);
  await page.screenshot({ path: path.join(folder, `${title}.png`), fullPage: true });
};
await signIn(page);
await shot("1-before", "/models/");

const running = [];
for (let number = 0; number < CALLS; number += 1) {
  if (number === KILLED_AFTER) first.kill();
  running.push(ask(number));
  await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
}
const ended = await Promise.all(running);
await shot("2-failing", "/models/");
await shot("3-calls", "/models/calls/");
const goneOver = ended.find((answer, number) => number >= KILLED_AFTER && answer.whole && answer.second);
if (goneOver) await shot("4-a-call-that-went-over", `/models/call/?id=${goneOver.call}`);
const broken = ended.find((answer) => answer.whole && answer.first && answer.second);
if (broken) await shot("5-a-stream-that-went-on", `/models/call/?id=${broken.call}`);
await close();
second.kill();

const count = (wanted) => ended.filter(wanted).length;
const lost = ended.filter((answer) => !answer.whole);
console.log(`${CALLS} calls: ${count((answer) => answer.first && !answer.second)} answered by the first provider, ${count((answer) => answer.second && !answer.first)} by the second, ${count((answer) => answer.first && answer.second)} begun by the first and ended by the second, ${lost.length} failed`);
for (const answer of lost.slice(0, 3)) console.log(answer.text.slice(0, 400));
process.exit(lost.length === 0 && goneOver ? 0 : 1);
