// What a page refuses to do: smuggled markup, other hosts, frames of other sites, requests that another site forges.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { openBrowser, settings, signIn } from "./support.mjs";

const ELSEWHERE = "http://elsewhere.test/";

let browser;
let page;

before(async () => {
  browser = await openBrowser();
  page = browser.context.pages()[0] ?? (await browser.context.newPage());
  await signIn(page);
});

after(async () => {
  await browser?.close();
});

/** A page of another site, which exists only in this browser. */
async function elsewhere(html) {
  const other = await browser.context.newPage();
  await other.route(ELSEWHERE, (route) => route.fulfill({ contentType: "text/html", body: `<!doctype html>${html}` }));
  await other.goto(ELSEWHERE);
  return other;
}

test("markup that somebody smuggles into a page neither runs nor looks like ours", async () => {
  await page.goto("/");
  await page.getByRole("navigation", { name: "Main" }).first().waitFor();
  const seen = await page.evaluate(async () => {
    const violated = [];
    document.addEventListener("securitypolicyviolation", (event) => violated.push(event.effectiveDirective));
    const place = document.createElement("div");
    document.body.append(place);
    place.innerHTML =
      '<img src="data:image/png;base64,AA" onerror="window.ran = true"><p style="color: rgb(1, 2, 3)">x</p><style>div { outline: 7px solid }</style>';
    const script = document.createElement("script");
    script.textContent = "window.ran = true";
    document.body.append(script);
    const sent = await fetch("http://127.0.0.1:65000/").then(() => true, () => false);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const { color } = getComputedStyle(place.querySelector("p"));
    return { violated, ran: "ran" in window, sent, color, outline: getComputedStyle(place).outlineWidth };
  });
  assert.equal(seen.ran, false);
  assert.equal(seen.sent, false);
  assert.notEqual(seen.color, "rgb(1, 2, 3)");
  assert.notEqual(seen.outline, "7px");
  for (const directive of ["script-src-attr", "script-src-elem", "style-src-attr", "style-src-elem", "connect-src"]) {
    assert.ok(seen.violated.includes(directive), `${directive} was not violated: ${seen.violated}`);
  }
});

test("no other site shows our pages in a frame", async () => {
  const other = await elsewhere(`<iframe src="${settings.url}/login/"></iframe>`);
  await other.waitForTimeout(1_000);
  const frame = other.frames().find((one) => one !== other.mainFrame());
  assert.equal(await frame.locator("input").count(), 0);
  await other.close();
});

test("what another site forges changes nothing", async () => {
  const name = `Forged ${Date.now()}`;
  const other = await elsewhere("<p>hello</p>");
  await other.evaluate(
    async ({ url, body }) => {
      const options = { method: "POST", credentials: "include", mode: "no-cors", body };
      await fetch(`${url}/api/v1/collections`, options).catch(() => {});
    },
    { url: settings.url, body: JSON.stringify({ name }) },
  );
  await other.close();
  const collections = await page.evaluate(() => fetch("/api/v1/collections?limit=200").then((response) => response.json()));
  assert.ok(!collections.data.some((collection) => collection.name === name));
});
