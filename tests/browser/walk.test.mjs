// The main job, walked in a real browser against a running server: from signing in to a cited, edited draft.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { openBrowser, settings, sidewaysOverflow, watchPage } from "./support.mjs";

const run = Date.now().toString(36);
const COLLECTION = `Walk ${run}`;
const HANDBOOK = `# Survey handbook 🌍🧭

The survey season opens in April and closes before the first frost. Crews carry two radios and a paper map.

## Budget

The season's budget is 48,000 euros for three crews 🚐. Half of the budget is set aside for transport, a quarter for instruments.

## Calibration

Receivers are calibrated on the first Monday of a month. A receiver that drifts by more than three centimeters goes back to the workshop.
`;
const CSV = "point,height,crew\nA-101,412.8,North\nA-102,398.2,North\nB-007,1204.5,Ridge\n";
const MODEL_MS = 180_000;
const INGEST_MS = 60_000;

let browser;
let page;
let faults;
let collectionUrl = "";
let contentUrl = "";
let chatModel = false;

before(async () => {
  browser = await openBrowser();
  page = browser.context.pages()[0] ?? (await browser.context.newPage());
  faults = watchPage(page);
});

after(async () => {
  await browser?.close();
});

const mainNavigation = () => page.getByRole("navigation", { name: "Main" }).first();
const documentRow = (title) => page.locator("li[data-document]", { hasText: title });

test("a wrong password is refused with a reason, and the page stays", async () => {
  await page.goto("/login/");
  await page.getByLabel("E-mail").fill(settings.email);
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByLabel("Password").fill("certainly not this one");
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.getByRole("alert").filter({ hasText: /password/i }).waitFor();
  assert.match(page.url(), /\/login\//);
  assert.equal(await page.getByLabel("Password").inputValue(), "");
});

test("a page asked for without a session leads to the login and back, with the keyboard alone", async () => {
  await page.goto("/knowledge/");
  await page.waitForURL(/\/login\/\?next=%2Fknowledge%2F/);
  const email = page.getByLabel("E-mail");
  await email.waitFor();
  await page.waitForFunction(() => document.activeElement?.getAttribute("name") === "email");
  await page.keyboard.type(settings.email);
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.activeElement?.getAttribute("name") === "password");
  await page.keyboard.type(settings.password);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "Knowledge" }).waitFor();
  assert.match(page.url(), /\/knowledge\/$/);
});

test("the home page is live", async () => {
  await page.goto("/");
  await page.locator("[data-live=open]").first().waitFor();
  await page.getByRole("list", { name: "Events, newest first" }).locator("li").first().waitFor();
});

test("a collection is created from a dialog that keeps the focus and closes with Escape", async () => {
  await page.goto("/knowledge/");
  const open = page.getByRole("button", { name: "New collection" }).first();
  await open.click();
  const dialog = page.getByRole("dialog", { name: "New collection" });
  await dialog.waitFor();
  // At the ends the focus comes back with the next frame, which may take a while in a browser without a screen.
  const holds = () => document.querySelector("[role=dialog]")?.contains(document.activeElement);
  for (let count = 0; count < 12; count += 1) await page.waitForFunction(holds).then(() => page.keyboard.press("Tab"));
  await page.waitForFunction(holds);
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  await page.waitForFunction(() => document.activeElement?.textContent?.includes("New collection"));
  await open.click();
  await dialog.getByLabel("Name").fill(COLLECTION);
  await dialog.getByLabel("Description").fill("Made by the browser walk.");
  await dialog.getByRole("button", { name: "Create collection" }).click();
  await page.getByRole("heading", { level: 1, name: COLLECTION }).waitFor();
  collectionUrl = page.url();

  await page.goto("/knowledge/");
  await page.getByRole("button", { name: "New collection" }).first().click();
  await dialog.getByLabel("Name").fill(COLLECTION);
  await dialog.getByRole("button", { name: "Create collection" }).click();
  await dialog.getByText(/already|taken|exists/i).waitFor();
});

test("a Markdown and a CSV file become ready while one watches", async () => {
  await page.goto(collectionUrl);
  await page.locator("[data-live=open]").first().waitFor();
  const chooser = page.waitForEvent("filechooser");
  await page.getByRole("button", { name: "Choose files" }).click();
  await (await chooser).setFiles([
    { name: "handbook.md", mimeType: "text/markdown", buffer: Buffer.from(HANDBOOK) },
    { name: "points.csv", mimeType: "text/csv", buffer: Buffer.from(CSV) },
  ]);
  await documentRow(/handbook/i).waitFor();
  await page.locator("li[data-document][data-state=ready]", { hasText: /handbook/i }).waitFor({ timeout: INGEST_MS });
  await page.locator("li[data-document][data-state=ready]", { hasText: /points/i }).waitFor({ timeout: INGEST_MS });
  await page.getByRole("tab", { name: /Documents 2/ }).waitFor();
});

test("a file dropped on the page is taken, and one that cannot be read says why", async () => {
  await page.evaluate(() => {
    const data = new DataTransfer();
    data.items.add(new File(["%PDF-1.7\nthis is no PDF at all"], "broken.pdf", { type: "application/pdf" }));
    for (const type of ["dragenter", "dragover", "drop"]) window.dispatchEvent(new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true }));
  });
  const failed = page.locator("li[data-document][data-state=failed]", { hasText: /broken/i });
  const refused = page.getByRole("list", { name: "Uploads" }).getByRole("alert");
  await failed.or(refused).first().waitFor({ timeout: INGEST_MS });
  if (await failed.count()) {
    assert.ok((await failed.innerText()).length > 40, "the failed document gives no reason");
    await failed.getByRole("button", { name: "Try again" }).waitFor();
    await failed.getByRole("button", { name: /Actions for/ }).click();
    await page.getByRole("menuitem", { name: "Delete" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete document" }).click();
    await failed.waitFor({ state: "detached" });
  }
});

test("a text is added, and is ready too", async () => {
  await page.getByRole("button", { name: "Add text" }).click();
  const dialog = page.getByRole("dialog", { name: "Add text" });
  await dialog.getByLabel("Title").fill("Radio rules");
  await dialog.getByLabel("Text", { exact: true }).fill("# Radio rules\n\nEvery crew reports by radio at noon, on channel seven.");
  await dialog.getByLabel("Metadata").fill("team: survey\nyear: 2026");
  await dialog.getByRole("button", { name: "Add document" }).click();
  await page.locator("li[data-document][data-state=ready]", { hasText: "Radio rules" }).waitFor({ timeout: INGEST_MS });
});

test("search marks the words, says how long it took and why a result ranks", async () => {
  await page.getByRole("tab", { name: "Search" }).click();
  await page.locator("h1").click();
  await page.keyboard.press("/");
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("aria-label")), "Search this collection");
  await page.keyboard.type("budget for transport");
  await page.keyboard.press("Enter");
  const first = page.getByRole("list", { name: "Results" }).locator("article").first();
  await first.waitFor();
  assert.match((await first.locator("mark").allTextContents()).join(" "), /budget/i);
  assert.match(await page.getByText(/among .* passages? in/).innerText(), /\d+(\.\d+)? (ms|s)/);
  await first.getByText("Why this ranks here").click();
  await first.getByText(/cosine similarity/).waitFor();

  await page.getByRole("button", { name: "Filter by metadata" }).click();
  await page.getByLabel("Metadata field").fill("team");
  await page.getByLabel("Value").fill("survey");
  await page.getByLabel("Search this collection").fill("radio");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => {
    const titles = [...document.querySelectorAll("article h3 a")].map((link) => link.textContent);
    return titles.length > 0 && titles.every((title) => title === "Radio rules");
  });
});

test("a result opens its passage in the document, marked exactly, behind emoji too", async () => {
  await page.goto(`${collectionUrl}&tab=search&q=${encodeURIComponent("receivers calibrated first Monday")}`);
  const link = page.getByRole("list", { name: "Results" }).getByRole("link").first();
  await link.click();
  await page.waitForURL(/\/knowledge\/document\//);
  const current = page.locator("[data-passage][data-current=true]");
  await current.waitFor();
  const marked = (await current.locator("mark").allTextContents()).join("").trim();
  const params = new URL(page.url()).searchParams;
  const response = await page.request.get(`/api/v1/collections/${params.get("collection")}/documents/${params.get("document")}/text`);
  const { text, passages } = await response.json();
  const passage = passages.find((candidate) => candidate.id === params.get("passage"));
  assert.equal(marked, Array.from(text).slice(passage.start, passage.end).join("").trim());
  assert.ok(await current.evaluate((element) => element.getBoundingClientRect().top < innerHeight && element.getBoundingClientRect().bottom > 0), "the passage is not in sight");
});

test("a question is answered with a citation that opens its passage", async (t) => {
  const models = await (await page.request.get("/api/v1/models?limit=200")).json();
  chatModel = models.data.some((model) => model.kind === "chat" && model.state !== "missing");
  const id = new URL(collectionUrl).searchParams.get("id");
  await page.goto(`/ask/?collection=${id}`);
  if (!chatModel) {
    await page.getByText("No chat model can be used").waitFor();
    t.skip("no chat model is installed");
    return;
  }
  await page.getByLabel("Question").fill("How large is the budget of the season, and what is it for?");
  await page.getByRole("button", { name: "Ask", exact: true }).click();
  await page.locator("[data-stage], [data-answer] p").first().waitFor();
  await page.getByRole("button", { name: "Keep as document" }).waitFor({ timeout: MODEL_MS });
  assert.ok((await page.locator("[data-answer]").innerText()).trim().length > 10);
  await page.locator("[data-answer] [data-citation]").first().click();
  const panel = page.getByRole("dialog");
  await panel.locator("mark").first().waitFor();
  assert.match(await panel.innerText(), /Source \d/);
  await page.keyboard.press("Escape");
  await panel.waitFor({ state: "detached" });
  await page.getByRole("link", { name: "See the model call" }).waitFor();
});

test("an answer can be stopped", async (t) => {
  if (!chatModel) return t.skip("no chat model is installed");
  await page.getByLabel("Question").fill("Tell me everything about crews, radios, receivers and the seasons.");
  await page.getByRole("button", { name: "Ask", exact: true }).click();
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByText("Stopped.").waitFor();
  await page.getByRole("button", { name: "Ask", exact: true }).waitFor();
});

test("a brief becomes a draft in the editor", async (t) => {
  if (!chatModel) return t.skip("no chat model is installed");
  await page.goto(`/content/draft/?collection=${new URL(collectionUrl).searchParams.get("id")}`);
  await page.getByLabel("Brief").fill("A short note to the crews about the budget of the season.");
  await page.getByLabel("Title").fill(`Note ${run}`);
  await page.getByRole("button", { name: "Write draft" }).click();
  await page.waitForURL(/\/content\/document\//, { timeout: MODEL_MS });
  await page.getByLabel("Text, in Markdown").waitFor();
  contentUrl = page.url();
  assert.ok((await page.getByLabel("Text, in Markdown").inputValue()).length > 20);
});

test("without a model a blank document is opened in the editor", async (t) => {
  if (chatModel) return t.skip("a draft was written by a model");
  await page.goto("/content/");
  await page.getByRole("button", { name: "Blank document" }).first().click();
  await page.waitForURL(/\/content\/document\//);
  contentUrl = page.url();
  await page.getByLabel("Text, in Markdown").fill("The budget is known.\n");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText(/Revision 2, saved/).waitFor();
});

test("an edit is guarded, saved, compared and undone", async () => {
  await page.goto(contentUrl);
  const body = page.getByLabel("Text, in Markdown");
  await body.waitFor();
  const before = await body.inputValue();
  const start = Number(/Revision (\d+), saved/.exec(await page.getByText(/Revision \d+, saved/).innerText())?.[1]);
  await body.fill(`${before.trimEnd()}\n\nAdded by the walk ${run}.\n`);
  await page.getByText("Unsaved changes").waitFor();

  await mainNavigation().getByRole("link", { name: "Models" }).click();
  const guard = page.getByRole("dialog", { name: "Leave without saving?" });
  await guard.getByRole("button", { name: "Cancel" }).click();
  assert.match(page.url(), /\/content\/document\//);

  await page.getByLabel("Note for this revision").fill("a line more");
  await body.press("Control+s");
  await page.getByText(`Revision ${start + 1}, saved`).waitFor();

  await page.getByRole("tab", { name: /Revisions/ }).click();
  await page.locator("[data-diff] ins", { hasText: `Added by the walk ${run}.` }).waitFor();
  await page.getByText("a line more").waitFor();

  const oldest = page.getByRole("list", { name: "Revisions, newest first" }).locator("li").filter({ hasText: `Revision ${start}` }).first();
  await oldest.getByRole("button", { name: "Restore" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Restore" }).click();
  await page.getByText(`Revision ${start + 2}, saved`).waitFor();
  await page.getByRole("tab", { name: "Write" }).click();
  assert.equal(await body.inputValue(), before);
});

test("two editors of one document cannot overwrite each other unseen", async () => {
  const other = await browser.context.newPage();
  await page.goto(contentUrl);
  await page.getByLabel("Text, in Markdown").waitFor();
  await page.getByLabel("Text, in Markdown").fill("My version.\n");
  await other.goto(contentUrl);
  await other.getByLabel("Text, in Markdown").fill("Their version.\n");
  await other.getByRole("button", { name: "Save" }).click();
  await other.getByText(/Revision \d+, saved/).waitFor();
  await other.close();

  const conflict = page.locator("[data-conflict]");
  if (!(await conflict.isVisible())) await page.getByLabel("Text, in Markdown").press("Control+s");
  await conflict.waitFor();
  assert.equal(await page.getByLabel("Text, in Markdown").inputValue(), "My version.\n");
  await conflict.getByRole("button", { name: "See their changes" }).click();
  await conflict.locator("ins", { hasText: "Their" }).waitFor();
  await conflict.getByRole("button", { name: "Save mine over theirs" }).click();
  await conflict.waitFor({ state: "detached" });
  await page.getByText(/Revision \d+, saved/).waitFor();
  assert.equal(await page.getByLabel("Text, in Markdown").inputValue(), "My version.\n");
});

test("the models page shows states, and the calls what each one took", async () => {
  await page.goto("/models/");
  await page.locator("li[data-model]").first().waitFor();
  await page.goto("/models/calls/");
  const call = page.locator("tr[data-call]").first();
  await call.waitFor();
  await call.getByRole("link").click();
  await page.getByText("Tokens read").waitFor();
  await page.goto("/models/usage/");
  await page.getByRole("heading", { name: "By model" }).waitFor();
  await page.locator("canvas").first().waitFor();
  // The chart shows its tooltip, which must need no style that the policy forbids.
  await page.locator("canvas").first().hover();
  await page.getByLabel("Told apart by").selectOption("key");
  await page.getByRole("heading", { name: "By API key" }).waitFor();
  const csv = await page.request.get(await page.getByRole("link", { name: "CSV" }).getAttribute("href"));
  assert.match(await csv.text(), /^day,key,key_name,calls,/);
});

test("calls are found by filters, and what they asked is kept only when capture is on", async () => {
  await page.goto("/models/calls/");
  await page.locator("tr[data-call]").first().waitFor();
  await page.getByLabel("From day").fill("2999-01-01");
  await page.getByText("No call is like that").waitFor();
  await page.getByRole("button", { name: "Clear filters" }).click();
  await page.locator("tr[data-call]").first().waitFor();
  await page.getByRole("button", { name: "Capture: off" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("What else is replaced").fill("(");
  await dialog.getByRole("button", { name: "Save" }).click();
  await dialog.getByText(/unclosed group/).waitFor();
  await dialog.getByLabel("What else is replaced").fill("");
  await dialog.getByLabel("Keep what chat models").check();
  await dialog.getByRole("button", { name: "Save" }).click();
  await page.getByRole("button", { name: "Capture: on" }).click();
  await dialog.getByLabel("Keep what chat models").uncheck();
  await dialog.getByRole("button", { name: "Save" }).click();
  await page.getByRole("button", { name: "Capture: off" }).waitFor();
});

test("no page scrolls sideways at the width of a phone", async () => {
  await page.setViewportSize({ width: 375, height: 780 });
  const addresses = [
    "/", "/knowledge/", collectionUrl, `${collectionUrl}&tab=search&q=budget`, `${collectionUrl}&tab=placement`, "/ask/", "/content/", "/content/draft/", contentUrl,
    `${contentUrl}&tab=citations`, `${contentUrl}&tab=revisions`, "/models/", "/models/providers/", "/models/routes/", "/models/budgets/", "/models/quality/", "/models/usage/", "/models/calls/", "/settings/",
    "/settings/security/", "/settings/sign-in/", "/settings/sessions/", "/settings/users/", "/settings/teams/", "/settings/roles/", "/settings/policies/", "/settings/api-keys/", "/settings/applications/", "/settings/audit/", "/settings/encryption/", "/settings/compliance/",
    "/settings/search-nodes/", "/settings/workspace/", "/settings/tenants/", "/invitation/", "/docs/",
  ];
  for (const address of addresses) {
    await page.goto(address);
    await page.waitForLoadState("networkidle", { timeout: 5000 }).catch(() => undefined);
    const { over, culprits } = await sidewaysOverflow(page);
    assert.equal(over, 0, `${address} scrolls sideways by ${over} px: ${culprits.join(", ")}`);
  }
  await page.goto("/");
  await page.getByRole("navigation", { name: "Main" }).last().getByRole("link", { name: "Ask" }).click();
  await page.getByRole("heading", { level: 1, name: "Ask" }).waitFor();
  await page.setViewportSize({ width: 1360, height: 900 });
});

test("what the walk made is deleted again, after asking", async () => {
  await page.goto("/content/");
  const title = await page.request.get(`/api/v1/content/documents/${new URL(contentUrl).searchParams.get("id")}`).then((response) => response.json()).then((document) => document.title);
  await page.getByRole("button", { name: `Actions for ${title}` }).first().click();
  await page.getByRole("menuitem", { name: "Delete" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete document" }).click();
  await page.getByRole("dialog").waitFor({ state: "detached" });

  await page.goto(collectionUrl);
  await page.getByRole("button", { name: "More actions" }).click();
  await page.getByRole("menuitem", { name: "Delete collection" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete collection" }).click();
  await page.waitForURL(/\/knowledge\/$/);
  await page.getByRole("heading", { level: 1, name: "Knowledge" }).waitFor();
  assert.equal(await page.getByRole("link", { name: COLLECTION }).count(), 0);
});

test("signing out ends the session", async () => {
  await page.getByRole("button", { name: /Account menu/ }).first().click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await page.waitForURL(/\/login\//);
  assert.equal((await page.request.get("/api/v1/me")).status(), 401);
});

test("on the whole way nothing failed in the page and nothing was asked of another host", () => {
  assert.deepEqual(faults, []);
});
