// Signing in: passkeys with Chromium's virtual authenticator, one-time codes computed here, links read from the outbox of the
// server. Passkeys are bound to the name of a host, so the pages are opened at localhost.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";

import { openBrowser, settings, watchPage } from "./support.mjs";

const run = Date.now().toString(36);
const person = { email: `login-${run}@example.com`, password: `a password of ${run}` };
const newcomer = { email: `newcomer-${run}@example.com`, password: `another password of ${run}` };
const outbox = process.env.PLASMA_OUTBOX;
const apiKey = process.env.PLASMA_API_KEY;

const url = new URL(settings.url);
if (["127.0.0.1", "[::1]"].includes(url.hostname)) url.hostname = "localhost";

let browser;
let page;
let faults;
let cdp;
let authenticatorId;
let recoveryCodes;
let totpSecret;

before(async () => {
  const owner = await api("POST", "/api/v1/auth/login", { email: settings.email, password: settings.password });
  for (const { email, password } of [person, newcomer]) {
    await api("POST", "/api/v1/users", { email, name: email.split("@")[0], role: "editor", password }, owner.token);
  }
  browser = await openBrowser({ baseURL: url.origin });
  page = browser.context.pages()[0] ?? (await browser.context.newPage());
  faults = watchPage(page, url.host);
  cdp = await browser.context.newCDPSession(page);
  await cdp.send("WebAuthn.enable");
  ({ authenticatorId } = await cdp.send("WebAuthn.addVirtualAuthenticator", {
    options: { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true },
  }));
});

after(async () => {
  await browser?.close();
});

async function api(method, address, body, token) {
  const response = await fetch(settings.url + address, {
    method,
    headers: { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) },
    ...(body && { body: JSON.stringify(body) }),
  });
  assert.ok(response.ok, `${method} ${address} answered ${response.status}`);
  return response.status === 204 ? null : response.json();
}

/** RFC 6238, `steps` time steps from now. */
function code(secret, steps = 0) {
  const bits = [...secret].map((letter) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + steps));
  const hash = createHmac("sha1", key).update(counter).digest();
  const number = hash.readUInt32BE(hash[19] & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, "0");
}

const heading = (name) => page.getByRole("heading", { level: 1, name });
const inside = () => page.getByRole("navigation", { name: "Main" }).first().waitFor();
const setPresence = (enabled) => cdp.send("WebAuthn.setAutomaticPresenceSimulation", { authenticatorId, enabled });

async function signOut() {
  await page.getByRole("button", { name: /Account menu/ }).first().click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await page.waitForURL(/\/login\//);
}

async function giveEmail(email) {
  await page.goto("/login/");
  await page.getByLabel("E-mail").fill(email);
  await page.getByRole("button", { name: "Continue" }).click();
}

async function givePassword({ email, password }) {
  await giveEmail(email);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
}

async function currentMethods() {
  const sessions = await page.request.get("/api/v1/me/sessions").then((response) => response.json());
  return sessions.data.find((session) => session.is_current).methods;
}

async function useRecoveryCode() {
  await page.getByRole("button", { name: "Use a recovery code" }).click();
  await page.getByLabel("Recovery code").fill(recoveryCodes.pop());
  await page.getByRole("button", { name: "Continue" }).click();
}

test("an unknown e-mail is offered what a known one is", async () => {
  // No autofill while the pages are only looked at.
  await setPresence(false);
  const offered = async (email) => {
    await giveEmail(email);
    await page.getByLabel("Password").waitFor();
    return page.getByRole("button").allInnerTexts();
  };
  assert.deepEqual(await offered(person.email), await offered(`nobody-${run}@example.com`));
});

test("a passkey is made, with recovery codes for the day when it is lost", async () => {
  await givePassword(person);
  await inside();
  await setPresence(true);
  await page.goto("/settings/security/");
  await page.getByRole("button", { name: "Add a passkey" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name").fill(`Key ${run}`);
  await dialog.getByRole("button", { name: "Make the passkey" }).click();
  const codes = page.locator("[data-recovery-codes] li");
  await codes.first().waitFor();
  recoveryCodes = await codes.allInnerTexts();
  assert.equal(recoveryCodes.length, 10);
  await page.getByRole("button", { name: "I have kept them" }).click();
  await page.locator("tr[data-passkey]", { hasText: `Key ${run}` }).waitFor();
  const { credentials } = await cdp.send("WebAuthn.getCredentials", { authenticatorId });
  assert.equal(credentials.length, 1);
  assert.ok(credentials[0].isResidentCredential);
});

test("the passkey signs in without an e-mail", async () => {
  await setPresence(false);
  await signOut();
  const button = page.getByRole("button", { name: "Sign in with a passkey" });
  await button.waitFor();
  await setPresence(true);
  // The browser may have filled it in by itself already.
  await button.click({ timeout: 5_000 }).catch(() => undefined);
  await inside();
  assert.deepEqual(await currentMethods(), ["passkey"]);
});

test("a password alone is no longer enough; a recovery code helps once", async () => {
  await setPresence(false);
  await signOut();
  await givePassword(person);
  await heading("One more proof").waitFor();
  await useRecoveryCode();
  await inside();
  assert.deepEqual((await currentMethods()).toSorted(), ["password", "recovery_code"]);
});

test("an authenticator is set up by its QR code or its key", async () => {
  await page.goto("/settings/security/");
  await page.getByRole("button", { name: "Set up", exact: true }).click();
  const dialog = page.getByRole("dialog");
  const image = dialog.getByRole("img", { name: /QR code/ });
  await image.waitFor();
  assert.ok(await image.evaluate((element) => element.complete && element.naturalWidth > 0), "the QR code is not shown");
  totpSecret = await dialog.locator("[data-totp-secret]").innerText();
  await dialog.getByLabel("Code").fill("000000");
  await dialog.getByRole("button", { name: "Confirm" }).click();
  await dialog.getByText(/the code is wrong/i).waitFor();
  await dialog.getByLabel("Code").fill(code(totpSecret));
  await dialog.getByRole("button", { name: "Confirm" }).click();
  await dialog.waitFor({ state: "detached" });
  await page.getByText("Since").first().waitFor();
});

test("its code is the second proof, and the same code is none a second time", async () => {
  await signOut();
  await givePassword(person);
  await heading("One more proof").waitFor();
  await page.getByRole("button", { name: "Use a code of your authenticator" }).click();
  const used = code(totpSecret, 1);
  await page.getByLabel("Code").fill(used);
  await page.getByRole("button", { name: "Continue" }).click();
  await inside();
  await signOut();
  await givePassword(person);
  await page.getByRole("button", { name: "Use a code of your authenticator" }).click();
  await page.getByLabel("Code").fill(used);
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("alert").filter({ hasText: /used already/ }).waitFor();
  await useRecoveryCode();
  await inside();
});

test("a link by mail signs in, and the second proof is asked for all the same", { skip: outbox ? false : "PLASMA_OUTBOX does not say where the server puts its mails" }, async () => {
  await signOut();
  await giveEmail(person.email);
  await page.getByRole("button", { name: "Send me a link by mail" }).click();
  await heading("Look into your mail").waitFor();
  const link = await mailedLink(person.email);
  assert.equal(new URL(link).origin, url.origin);
  await page.goto(link);
  await heading("One more proof").waitFor();
  assert.ok(!page.url().includes("pll_"), "the token is still in the address");
  await useRecoveryCode();
  await inside();
  assert.deepEqual((await currentMethods()).toSorted(), ["magic_link", "recovery_code"]);
  await page.goto("about:blank");
  await page.goto(link);
  await page.getByRole("alert").filter({ hasText: /ended, or was used/ }).waitFor();
  await page.goto("/");
  await inside();
});

test("a dangerous action asks whether it is still the same person, and then goes on", async () => {
  await page.goto("/settings/security/");
  // As if the sign-in were long ago.
  let refusals = 1;
  await page.route("**/api/v1/me/recovery-codes", async (route) => {
    if (refusals-- <= 0) return route.continue();
    const problem = { type: "/docs/errors/step_up_required", title: "Forbidden", status: 403, code: "forbidden", reason: "step_up_required", detail: "prove it" };
    return route.fulfill({ status: 403, contentType: "application/problem+json", body: JSON.stringify(problem) });
  });
  await page.getByRole("button", { name: "Make new ones" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Make new ones" }).click();
  const question = page.getByRole("dialog", { name: "Is it still you?" });
  await question.getByLabel("Your password").fill("certainly not this one");
  await question.getByRole("button", { name: "Confirm with the password" }).click();
  await question.getByText(/the password is wrong/i).waitFor();
  const before = await sessionCookie();
  await question.getByLabel("Your password").fill(person.password);
  await question.getByRole("button", { name: "Confirm with the password" }).click();
  const codes = page.locator("[data-recovery-codes] li");
  await codes.first().waitFor();
  assert.notDeepEqual(await codes.allInnerTexts(), recoveryCodes);
  recoveryCodes = await codes.allInnerTexts();
  assert.notEqual(await sessionCookie(), before, "the session has a new token");
  await page.unroute("**/api/v1/me/recovery-codes");
  await page.getByRole("button", { name: "I have kept them" }).click();
});

test("other sessions are seen and ended", async () => {
  await page.goto("/settings/security/");
  await page.getByText("This one").waitFor();
  await page.getByRole("button", { name: "Sign out everywhere else" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Sign out everywhere else" }).click();
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await page.waitForFunction(() => document.querySelectorAll("tr[data-session]").length === 1);
});

test("where a second factor is required it is set up in the middle of the sign-in", { skip: apiKey ? false : "PLASMA_API_KEY is not set" }, async () => {
  await signOut();
  const path = "/api/v1/security/login-policy";
  const { methods, mfa_required, mfa_grace_seconds, session_seconds, idle_seconds, ip_ranges } = await api("GET", path, null, apiKey);
  const policy = { methods, mfa_required, mfa_grace_seconds, session_seconds, idle_seconds, ip_ranges };
  await api("PUT", path, { ...policy, mfa_required: true, mfa_grace_seconds: 0 }, apiKey);
  try {
    await givePassword(newcomer);
    await heading("Set up a second factor").waitFor();
    await page.getByRole("button", { name: "Use an authenticator application" }).click();
    const secret = await page.locator("[data-totp-secret]").innerText();
    await page.getByLabel("Code").fill(code(secret));
    await page.getByRole("button", { name: "Confirm" }).click();
    await heading("Keep these codes").waitFor();
    assert.equal(await page.locator("[data-recovery-codes] li").count(), 10);
    await page.getByRole("button", { name: "I have kept them" }).click();
    await inside();
    assert.deepEqual((await currentMethods()).toSorted(), ["password", "totp"]);
  } finally {
    await api("PUT", path, policy, apiKey);
  }
});

test("nothing failed in the pages and nothing was asked of another host", () => {
  assert.deepEqual(faults, []);
});

async function sessionCookie() {
  const cookies = await browser.context.cookies(url.origin);
  return cookies.find((cookie) => cookie.name === "plasma_session")?.value;
}

/** The link in the newest mail to this address, once it is there. */
async function mailedLink(email) {
  for (let look = 0; look < 200; look += 1) {
    const names = (await readdir(outbox).catch(() => [])).filter((name) => name.endsWith(".eml")).sort().reverse();
    for (const name of names) {
      const mail = (await readFile(path.join(outbox, name), "utf8")).replaceAll("=\r\n", "").replaceAll("=3D", "=");
      const link = /https?:\/\/\S+#token=pll_[a-z0-9]+/.exec(mail)?.[0];
      if (link && mail.includes(`To: ${email}`)) return link;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`no mail for ${email} came into ${outbox}`);
}
