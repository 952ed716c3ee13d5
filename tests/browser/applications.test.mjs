// Applications: registered, let in by a person, seen, and put out again.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, test } from "node:test";

import { openBrowser, settings, signIn, watchPage } from "./support.mjs";

const run = Date.now().toString(36);
const name = `Letters ${run}`;
const callback = "https://app.example/callback";
const verifier = "a-verifier-that-is-long-enough-for-the-specification";

let browser;
let page;
let faults;
let application;

before(async () => {
  browser = await openBrowser();
  page = browser.context.pages()[0] ?? (await browser.context.newPage());
  faults = watchPage(page);
  // The application's own site, which is not part of this test.
  await browser.context.route("https://app.example/**", (route) => route.fulfill({ contentType: "text/html", body: "<p>the application</p>" }));
  await signIn(page);
});

after(async () => {
  await browser?.close();
});

function authorizePath(more = {}) {
  const query = new URLSearchParams({
    response_type: "code", client_id: application, redirect_uri: callback, scope: "openid offline_access content:read", state: "s",
    code_challenge: createHash("sha256").update(verifier).digest("base64url"), code_challenge_method: "S256", ...more,
  });
  return `/oauth/authorize/?${query}`;
}

async function post(path, fields) {
  const response = await fetch(settings.url + path, { method: "POST", body: new URLSearchParams({ client_id: application, ...fields }) });
  return { status: response.status, body: await response.json().catch(() => null) };
}

test("an application is registered", async () => {
  await page.goto("/settings/applications/");
  await page.getByRole("button", { name: "Register an application" }).first().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name").fill(name);
  await dialog.getByLabel("Runs").selectOption("public");
  await dialog.getByLabel("Addresses").fill(callback);
  await dialog.getByRole("group", { name: "May ask people for" }).getByLabel("content:read").check();
  await dialog.getByLabel("Also on devices without a browser").check();
  await dialog.getByRole("button", { name: "Register" }).click();
  await dialog.getByText("client_id").waitFor();
  await dialog.getByRole("button", { name: "Close" }).last().click();
  const row = page.locator("tr[data-application]", { hasText: name });
  application = await row.getAttribute("data-application");
  assert.match(application, /^app_/);
});

let tokens;

test("a person is asked, and sent back with a code", async () => {
  await page.goto(authorizePath());
  await page.getByRole("heading", { name: `Allow ${name} to act for you?` }).waitFor();
  await page.getByText("see content").waitFor();
  await page.getByText("app.example", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Refuse" }).click();
  await page.waitForURL(`${callback}?error=access_denied**`);
  await page.goto(authorizePath());
  await page.getByRole("button", { name: "Allow" }).click();
  await page.waitForURL(`${callback}?code=**`);
  const back = new URL(page.url());
  assert.deepEqual([back.searchParams.get("state"), back.searchParams.get("iss")], ["s", settings.url]);
  const answer = await post("/oauth/token", { grant_type: "authorization_code", code: back.searchParams.get("code"), code_verifier: verifier });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  tokens = answer.body;
});

test("what was allowed before needs no second click", async () => {
  await page.goto(authorizePath());
  await page.waitForURL(`${callback}?code=**`);
});

test("a link that was tampered with leads nowhere", async () => {
  for (const path of [
    authorizePath({ redirect_uri: "https://evil.example/" }), authorizePath({ client_id: "app_00000000000000000000000000" }),
    `${authorizePath()}&redirect_uri=https%3A%2F%2Fevil.example%2F`,
  ]) {
    await page.goto(path);
    await page.getByRole("link", { name: "Go to Plasma instead" }).waitFor();
    assert.equal(new URL(page.url()).origin, settings.url);
  }
});

test("whoever is not signed in comes back after signing in", async () => {
  const stranger = await openBrowser();
  try {
    await stranger.context.route("https://app.example/**", (route) => route.fulfill({ contentType: "text/html", body: "<p>the application</p>" }));
    const other = stranger.context.pages()[0] ?? (await stranger.context.newPage());
    await other.goto(authorizePath({ prompt: "consent" }));
    await other.waitForURL("**/login/**");
    await other.getByLabel("E-mail").fill(settings.email);
    await other.getByRole("button", { name: "Continue" }).click();
    await other.getByLabel("Password").fill(settings.password);
    await other.getByRole("button", { name: "Sign in", exact: true }).click();
    await other.getByRole("heading", { name: `Allow ${name} to act for you?` }).waitFor();
  } finally {
    await stranger.close();
  }
});

test("a device is let in by its code", async () => {
  const begun = (await post("/oauth/device", { scope: "content:read" })).body;
  await page.goto("/device/");
  await page.getByLabel("Code").fill(begun.user_code.toLowerCase().replace("-", " "));
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("heading", { name: `Allow ${name} to act for you?` }).waitFor();
  await page.getByText(begun.user_code).waitFor();
  await page.getByRole("button", { name: "Allow" }).click();
  await page.getByRole("heading", { name: "You are connected" }).waitFor();
  const answer = await post("/oauth/token", { grant_type: "urn:ietf:params:oauth:grant-type:device_code", device_code: begun.device_code });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  await page.goto("/device/?code=BBBB-BBBB");
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByText("No device waits").waitFor();
});

test("an application is deleted, and what it had ends", async () => {
  await page.goto("/settings/applications/");
  const row = page.locator("tr[data-application]", { hasText: name });
  await row.getByRole("button", { name: `Actions for ${name}` }).click();
  await page.getByRole("menuitem", { name: "Delete" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete application" }).click();
  await row.waitFor({ state: "detached" });
  const answer = await fetch(`${settings.url}/api/v1/me`, { headers: { authorization: `Bearer ${tokens.access_token}` } });
  assert.equal(answer.status, 401);
});

test("nothing failed on these pages and nothing was asked of another host", () => {
  assert.deepEqual(faults.filter((fault) => !fault.includes("https://app.example/")), []);
});
