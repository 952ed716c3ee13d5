// What surrounds every page: keyboard, theme, the API reference.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { openBrowser, signIn, watchPage } from "./support.mjs";

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

const mainNavigation = () => page.getByRole("navigation", { name: "Main" }).first();

test("the skip link is the first stop, and the page names where it is", async () => {
  await page.goto("/");
  await mainNavigation().waitFor();
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), "Skip to the page");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement?.id), "main");
  assert.equal(await mainNavigation().locator("[aria-current=page]").textContent(), "Home");
});

test("the theme is chosen in the menu and stands before the first paint", async () => {
  await page.goto("/");
  await page.getByRole("button", { name: /Account menu/ }).first().click();
  await page.getByRole("menuitemradio", { name: "Dark" }).click();
  const chosen = (theme) => page.waitForFunction((wanted) => document.documentElement.getAttribute("data-theme") === wanted, theme);
  await chosen("dark");
  const background = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const dark = await background();
  await page.reload({ waitUntil: "commit" });
  await chosen("dark");
  await mainNavigation().waitFor();
  assert.equal(await background(), dark);
  await page.getByRole("button", { name: /Account menu/ }).first().click();
  await page.getByRole("menuitemradio", { name: "Light" }).click();
  await chosen("light");
  assert.notEqual(await background(), dark);
  await page.getByRole("menuitemradio", { name: "System" }).click();
  await chosen(null);
});

test("the API reference is served from here and lists the operations", async () => {
  await page.goto("/docs/");
  await page.locator(".opblock").first().waitFor();
  assert.ok((await page.locator(".opblock").count()) > 3);
  await page.getByRole("link", { name: "Dashboard" }).click();
  await mainNavigation().waitFor();
});

test("nothing failed in these pages and nothing was asked of another host", () => {
  assert.deepEqual(faults, []);
});
