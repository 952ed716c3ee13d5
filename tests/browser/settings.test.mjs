// Settings: teams, API keys, workspaces and how one looks.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { openBrowser, settings, signIn, watchPage } from "./support.mjs";

const run = Date.now().toString(36);

let browser;
let page;
let faults;

before(async () => {
  browser = await openBrowser();
  page = browser.context.pages()[0] ?? (await browser.context.newPage());
  faults = watchPage(page);
  await signIn(page);
});

after(async () => {
  await browser?.close();
});

test("a team is created, gets a member, and is deleted", async () => {
  await page.goto("/settings/teams/");
  await page.getByRole("button", { name: "Create a team" }).first().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name").fill(`Team ${run}`);
  await dialog.getByRole("button", { name: "Create team" }).click();
  const row = page.locator("tr[data-team]", { hasText: `Team ${run}` });
  await row.getByRole("button", { name: "nobody yet" }).click();
  await dialog.getByLabel("Add a person").selectOption({ index: 1 });
  await dialog.getByRole("button", { name: "Add", exact: true }).click();
  await dialog.locator("li[data-member]").first().waitFor();
  await dialog.getByRole("button", { name: "Close" }).last().click();
  await row.getByRole("button", { name: "1 member" }).waitFor();
  await row.getByRole("button", { name: `Actions for Team ${run}` }).click();
  await page.getByRole("menuitem", { name: "Delete" }).click();
  await dialog.getByRole("button", { name: "Delete team" }).click();
  await row.waitFor({ state: "detached" });
});

test("an API key is shown once, works, and stops working when it is revoked", async () => {
  await page.goto("/settings/api-keys/");
  await page.getByRole("button", { name: "Create an API key" }).first().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name").fill(`walk ${run}`);
  await dialog.getByLabel("Role", { exact: true }).selectOption("viewer");
  await dialog.getByRole("button", { name: "Create key" }).click();
  const key = await dialog.locator("[data-created-key]").innerText();
  assert.match(key, /^plk_/);
  const ask = () => fetch(`${settings.url}/api/v1/me`, { headers: { authorization: `Bearer ${key}` } });
  assert.equal((await (await ask()).json()).role, "viewer");
  await dialog.getByRole("button", { name: "I have copied it" }).click();
  const row = page.locator("tr[data-api-key]", { hasText: `walk ${run}` });
  await row.waitFor();
  assert.ok(!(await page.content()).includes(key), "the key is still on the page");
  await row.getByRole("button", { name: "Revoke" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Revoke key" }).click();
  await row.getByText("Revoked").waitFor();
  assert.equal((await ask()).status, 401);
});

test("a workspace is created, limited, suspended, resumed, and given up", async () => {
  const name = `Workspace ${run}`;
  await page.goto("/settings/tenants/");
  await page.getByRole("button", { name: "Create a workspace" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Workspace name").fill(name);
  await dialog.getByLabel("Owner’s name").fill("Olive Owner");
  await dialog.getByLabel("Owner’s e-mail").fill(`owner-${run}@example.org`);
  await dialog.getByLabel("Owner’s first password").fill(`a lantern for ${run}`);
  await dialog.getByRole("button", { name: "Create workspace" }).click();
  const row = page.locator("tr[data-tenant]", { hasText: name });
  const choose = async (action) => {
    await row.getByRole("button", { name: `Actions for ${name}` }).click();
    await page.getByRole("menuitem", { name: action, exact: true }).click();
  };
  await choose("Plan and limits");
  await dialog.getByLabel("Plan", { exact: true }).fill("small");
  await dialog.getByLabel("Users", { exact: true }).fill("3");
  await dialog.getByLabel("Storage in GB").fill("0.5");
  await dialog.getByRole("button", { name: "Save the plan" }).click();
  await row.getByText("small").waitFor();
  await choose("Suspend");
  await dialog.getByLabel("Reason").fill("The invoice of March is not paid.");
  await dialog.getByRole("button", { name: "Suspend workspace" }).click();
  await row.getByText("Suspended").waitFor();
  await choose("Resume");
  await dialog.getByRole("button", { name: "Resume workspace" }).click();
  await row.getByText("Active").waitFor();
  await choose("Delete");
  await dialog.getByLabel("Type the workspace’s name").fill(name);
  await dialog.getByRole("button", { name: "Delete workspace" }).click();
  await row.getByText("To be deleted").waitFor();
});

test("a workspace looks as it is told to, and refuses colours that nobody could read", async () => {
  await page.goto("/settings/workspace/");
  const light = page.getByLabel("Accent on light pages", { exact: true });
  await light.fill("#ffff00");
  await page.getByRole("button", { name: "Save the look" }).click();
  await page.getByText("has a contrast of").waitFor();
  const accent = () => page.evaluate(() => document.documentElement.style.getPropertyValue("--accent"));
  assert.equal(await accent(), "");
  await light.fill("#0a6640");
  await page.getByRole("button", { name: "Save the look" }).click();
  await page.getByText("Look saved").waitFor();
  await page.waitForFunction(() => document.documentElement.style.getPropertyValue("--accent").includes("#0a6640"));
  await light.fill("");
  await page.getByRole("button", { name: "Save the look" }).click();
  await page.waitForFunction(() => document.documentElement.style.getPropertyValue("--accent") === "");
});

test("an export is made and can be downloaded", async () => {
  await page.goto("/settings/workspace/");
  await page.getByRole("button", { name: "Make an export" }).click();
  const row = page.locator("li[data-export]").first();
  const download = row.getByRole("link", { name: "Download" });
  await download.waitFor({ timeout: 60_000 });
  const response = await page.request.get(await download.getAttribute("href"));
  assert.equal(response.headers()["content-type"], "application/zip");
  assert.equal((await response.body()).subarray(0, 2).toString(), "PK");
  await row.getByRole("button", { name: "Remove" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
  await page.getByRole("dialog").waitFor({ state: "detached" });
});

test("requirements are filtered and show their evidence", async () => {
  await page.goto("/settings/compliance/");
  await page.getByText("No test run is known to this server").waitFor();
  await page.getByRole("heading", { name: "Requirements" }).waitFor();
  const all = await page.locator("[data-control]").count();
  assert.ok(all >= 253, `${all} requirements`);
  await page.locator('[data-chapter="V8"]').getByRole("button").click();
  const chapter = await page.locator("[data-control]").count();
  assert.ok(chapter > 0 && chapter < all);
  await page.getByLabel("Outcome", { exact: true }).selectOption("met");
  const row = page.locator('[data-control="V8.4.1"]');
  await row.getByRole("button").click();
  await row.getByText("plasma-server::it isolation::another_tenant_finds_nothing::postgres").waitFor();
  assert.equal(await page.locator('[data-control]:not([data-outcome="met"])').count(), 0);
  assert.match(page.url(), /chapter=V8/);
  await page.locator("label").filter({ hasText: "API Security" }).click();
  await page.locator('[data-control="API1:2023"]').waitFor();
});

test("nothing failed in the settings and nothing was asked of another host", () => {
  assert.deepEqual(faults, []);
});
