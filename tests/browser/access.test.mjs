// Settings: roles, policies with their editor, and the question who may do what.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { openBrowser, signIn, watchPage } from "./support.mjs";

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

test("a role is put together from permissions, changed, and deleted", async () => {
  await page.goto("/settings/roles/");
  await page.getByRole("button", { name: "Create a role" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name", { exact: true }).fill(`Role ${run}`);
  await dialog.getByLabel("Content: see (content:read)").check();
  await dialog.getByRole("button", { name: "all of Teams" }).click();
  await dialog.getByRole("button", { name: "Create role" }).click();
  const row = page.locator("tr[data-role]", { hasText: `Role ${run}` });
  await row.getByText("3 permissions").waitFor();
  await row.getByRole("button", { name: `Actions for Role ${run}` }).click();
  await page.getByRole("menuitem", { name: "Change" }).click();
  await dialog.getByLabel("Teams: change (teams:write)").uncheck();
  await dialog.getByRole("button", { name: "Save changes" }).click();
  await row.getByText("2 permissions").waitFor();
  await row.getByRole("button", { name: `Actions for Role ${run}` }).click();
  await page.getByRole("menuitem", { name: "Delete" }).click();
  await dialog.getByRole("button", { name: "Delete role" }).click();
  await row.waitFor({ state: "detached" });
});

test("who may do what is answered with what decides it", async () => {
  await page.goto("/settings/roles/");
  await page.getByRole("button", { name: "Who may do what?" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("May", { exact: true }).selectOption("content:write");
  await dialog.getByRole("button", { name: "Ask" }).click();
  const answer = dialog.locator("[data-explanation=allowed]");
  await answer.getByText("the role owner allows it").waitFor();
  await dialog.getByRole("button", { name: "Close" }).last().click();
});

test("a policy's mistakes are told at their place, and it is versioned", async () => {
  await page.goto("/settings/policies/?new=1");
  await page.getByLabel("Name", { exact: true }).fill(`Policy ${run}`);
  const text = page.getByLabel("Statements");
  await text.fill('forbid (principal in Role::"viewer",\n  action == Action::"content:rite", resource);');
  const mistake = page.locator("[data-problem=error]").first();
  await mistake.getByText("content:rite").waitFor();
  await mistake.getByRole("button", { name: /^Line 2/ }).click();
  assert.equal(await text.evaluate((field) => field === document.activeElement && field.value.slice(0, field.selectionStart).includes("\n")), true);
  await text.fill('forbid (principal in Role::"viewer",\n  action == Action::"content:write", resource);');
  await page.getByText(/different request|decided no request/).waitFor();
  await page.getByRole("button", { name: "Create policy" }).click();
  await page.getByRole("heading", { name: `Policy ${run}` }).waitFor();
  await text.fill('forbid (principal in Role::"viewer",\n  action == Action::"content:write", resource)\nwhen { context.hour < 6 };');
  await page.getByRole("button", { name: "Save as version 2" }).click();
  await page.getByRole("button", { name: "Save as version 3" }).waitFor();
  await page.getByRole("tab", { name: "History" }).click();
  await page.locator("[data-diff]").getByText("when { context.hour < 6 };").waitFor();
  await page.locator("[data-version='1']").getByRole("button", { name: /^Show/ }).click();
  await page.getByRole("button", { name: "Put its text into the editor" }).click();
  assert.ok(!(await text.inputValue()).includes("context.hour"));
  await page.getByRole("button", { name: "Delete" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete policy" }).click();
  await page.waitForURL(/\/settings\/policies\/$/);
  await page.locator("tr[data-policy]", { hasText: `Policy ${run}` }).waitFor({ state: "detached" });
});

test("nothing failed and nothing was asked of another host", () => {
  assert.deepEqual(faults, []);
});
