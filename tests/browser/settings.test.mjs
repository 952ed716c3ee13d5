// Settings: teams and API keys.
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

test("nothing failed in the settings and nothing was asked of another host", () => {
  assert.deepEqual(faults, []);
});
