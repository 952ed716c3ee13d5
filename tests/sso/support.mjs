// A workspace of the suite's own, with an owner, on a server that is already running.
import assert from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";

import { Browser } from "./browser.mjs";

export const url = required("PLASMA_URL").replace(/\/$/, "");
const key = required("PLASMA_API_KEY");

function required(name) {
  const value = process.env[name];
  if (value) return value;
  console.error(`${name} is not set. These tests drive a running server: set PLASMA_URL and PLASMA_API_KEY (an operator's).`);
  process.exit(2);
}

async function read(response) {
  const text = await response.text();
  return text === "" ? null : JSON.parse(text);
}

/** A request with the operator's key. */
export async function operate(method, path, body) {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, ...(body && { "content-type": "application/json" }) },
    body: body && JSON.stringify(body),
  });
  const answer = await read(response);
  assert.ok(response.ok, `${method} ${path}: ${response.status} ${JSON.stringify(answer)}`);
  return answer;
}

/** A person in front of Plasma's dashboard. */
export class Person extends Browser {
  /** A request as the dashboard makes it. */
  async call(method, path, body) {
    const headers = { origin: url, "sec-fetch-site": "same-origin", ...(body && { "content-type": "application/json" }) };
    const response = await this.request(`${url}${path}`, { method, headers, body: body && JSON.stringify(body) });
    return { status: response.status, body: await read(response) };
  }

  /** The same, for what must succeed. */
  async ask(method, path, body) {
    const answer = await this.call(method, path, body);
    assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  logIn(email, password) {
    return this.call("POST", "/api/v1/auth/login", { email, password });
  }

  /** Logs in by a connection, and returns the page of the dashboard where it ends. */
  async enterBy(connection, next = "/knowledge/") {
    const start = `${connection.login_url}?next=${encodeURIComponent(next)}`;
    const end = await this.open(start, { until: (here) => here.origin === url && !here.pathname.startsWith("/api/") });
    return { path: end.url.pathname, problem: end.url.searchParams.get("problem"), url: end.url };
  }

  async me() {
    const answer = await this.call("GET", "/api/v1/me");
    return answer.status === 200 ? answer.body : null;
  }
}

export const PASSWORD = "a long password of the suite";

/** A new workspace with a domain of its own. */
export async function newWorkspace() {
  const tag = randomBytes(5).toString("hex");
  const domain = `sso-${tag}.example`;
  const email = `owner@${domain}`;
  const tenant = await operate("POST", "/api/v1/tenants", { name: `Single sign-on ${tag}`, owner: { email, name: "Olga", password: PASSWORD } });
  const owner = new Person();
  const login = await owner.logIn(email, PASSWORD);
  assert.equal(login.status, 200, JSON.stringify(login.body));
  return { tenant: tenant.id, domain, email, owner, tag };
}

/** The code that an authenticator application shows (RFC 6238), for a secret in base32. */
export function oneTimeCode(secret, at = Date.now()) {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  let bits = "";
  for (const letter of secret.replace(/[\s=]/g, "").toUpperCase()) bits += letters.indexOf(letter).toString(2).padStart(5, "0");
  const bytes = Buffer.from(bits.match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(at / 30_000)));
  const digest = createHmac("sha1", bytes).update(counter).digest();
  const offset = digest[19] & 15;
  return String((digest.readUInt32BE(offset) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}
