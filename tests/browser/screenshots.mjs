// Saves every page in light, dark and at the width of a phone: node screenshots.mjs FOLDER [name-part]
import { mkdir } from "node:fs/promises";
import path from "node:path";

import { openBrowser, sidewaysOverflow, signIn, watchPage } from "./support.mjs";

const [folder, only = ""] = process.argv.slice(2);
if (!folder) {
  console.error("usage: node screenshots.mjs FOLDER [part of a name]");
  process.exit(2);
}
await mkdir(folder, { recursive: true });

const VARIANTS = [
  { name: "light", colorScheme: "light", viewport: { width: 1360, height: 900 } },
  { name: "dark", colorScheme: "dark", viewport: { width: 1360, height: 900 } },
  { name: "phone", colorScheme: "light", viewport: { width: 375, height: 780 } },
];

let faulty = false;
for (const { name, ...options } of VARIANTS) {
  const { context, close } = await openBrowser(options);
  try {
    const page = context.pages()[0] ?? (await context.newPage());
    const faults = watchPage(page);
    const shot = async (title, prepare) => {
      if (!title.includes(only)) return;
      await prepare();
      await page.waitForLoadState("networkidle", { timeout: 8000 }).catch(() => undefined);
      await page.waitForTimeout(400);
      const { over, culprits } = await sidewaysOverflow(page);
      if (over > 0) faults.push(`${title} (${name}) scrolls sideways by ${over} px: ${culprits.join(", ")}`);
      await page.screenshot({ path: path.join(folder, `${title}.${name}.png`), fullPage: true });
    };
    await shot("login", () => page.goto("/login/"));
    await signIn(page);
    for (const [title, prepare] of await pages(page)) await shot(title, prepare);
    for (const fault of faults) console.error(`${name}: ${fault}`);
    faulty ||= faults.length > 0;
  } finally {
    await close();
  }
}
process.exit(faulty ? 1 : 0);

/** Every page as [name, how to get there], with whatever the workspace has to show. */
async function pages(page) {
  const list = async (address) => {
    const response = await page.request.get(address);
    return response.ok() ? (await response.json()).data : [];
  };
  const collections = await list("/api/v1/collections?limit=200");
  const collection = collections.find((candidate) => candidate.ready_count > 0) ?? collections[0];
  const documents = collection ? await list(`/api/v1/collections/${collection.id}/documents?state=ready`) : [];
  const content = await list("/api/v1/content/documents");
  const written = content.find((candidate) => candidate.revision > 1) ?? content[0];
  const calls = await list("/api/v1/models/calls");
  const prompts = await list("/api/v1/prompts");
  const prompt = prompts.find((candidate) => candidate.newest_version > 0) ?? prompts[0];
  const benchmarks = await list("/api/v1/models/benchmarks");
  const ended = benchmarks.filter((candidate) => candidate.state === "succeeded");
  const go = (address) => () => page.goto(address);
  const query = process.env.PLASMA_QUERY ?? "budget";

  const found = [
    ["home", go("/")],
    ["knowledge", go("/knowledge/")],
    ["new-collection", async () => {
      await page.goto("/knowledge/");
      await page.getByRole("button", { name: "New collection" }).first().click();
    }],
    ["ask", go("/ask/")],
    ["content", go("/content/")],
    ["draft", go("/content/draft/")],
    ["models", go("/models/")],
    ["providers", go("/models/providers/")],
    ["routes", go("/models/routes/")],
    ["budgets", go("/models/budgets/")],
    ["quality", go("/models/quality/")],
    ["batches", go("/models/batches/")],
    ["prompts", go("/models/prompts/")],
    ["benchmarks", go("/models/benchmarks/")],
    ["usage", go("/models/usage/")],
    ["calls", go("/models/calls/")],
    ["settings-profile", go("/settings/")],
    ["settings-security", go("/settings/security/")],
    ["settings-sign-in", go("/settings/sign-in/")],
    ["settings-compliance", go("/settings/compliance/?chapter=V8")],
    ["settings-sessions", go("/settings/sessions/")],
    ["settings-users", go("/settings/users/")],
    ["settings-teams", go("/settings/teams/")],
    ["new-team", async () => {
      await page.goto("/settings/teams/");
      await page.getByRole("button", { name: "Create a team" }).first().click();
    }],
    ["settings-search-nodes", go("/settings/search-nodes/")],
    ["settings-roles", go("/settings/roles/")],
    ["settings-audit", go("/settings/audit/")],
    ["settings-audit-sinks", go("/settings/audit/?tab=sinks")],
    ["settings-policies", go("/settings/policies/")],
    ["settings-policy-new", go("/settings/policies/?new=1")],
    ["settings-api-keys", go("/settings/api-keys/")],
    ["settings-applications", go("/settings/applications/")],
    ["device", go("/device/?code=BCDF-GHJK")],
    ["settings-workspace", go("/settings/workspace/")],
    ["settings-tenants", go("/settings/tenants/")],
    ["invite", async () => {
      await page.goto("/settings/users/");
      await page.getByRole("button", { name: "Invite somebody" }).click();
    }],
    ["plan", async () => {
      await page.goto("/settings/tenants/");
      await page.getByRole("button", { name: "Actions for" }).first().click();
      await page.getByRole("menuitem", { name: "Plan and limits" }).click();
    }],
    ["invitation-none", go("/invitation/")],
    ["new-api-key", async () => {
      await page.goto("/settings/api-keys/");
      await page.getByRole("button", { name: "Create an API key" }).first().click();
    }],
    ["api-reference", async () => {
      await page.goto("/docs/");
      await page.locator(".opblock").first().waitFor();
    }],
    ["not-found", go("/no/such/page/")],
  ];
  if (collection) {
    const address = `/knowledge/collection/?id=${collection.id}`;
    found.push(["collection", go(address)], ["search", async () => {
      await page.goto(`${address}&tab=search&q=${encodeURIComponent(query)}`);
      const why = page.locator("summary", { hasText: "Why this ranks here" }).first();
      await why.waitFor({ timeout: 5000 }).then(() => why.click(), () => undefined);
    }]);
    found.push(["search-filtered", async () => {
      await page.goto(`${address}&tab=search&q=${encodeURIComponent(query)}`);
      await page.getByRole("button", { name: "Filter by metadata" }).click();
      await page.getByLabel("Metadata field").fill("$title");
      await page.getByLabel("Condition", { exact: true }).selectOption({ label: "exists" }).catch(() => undefined);
      await page.locator("summary", { hasText: "Ranking" }).first().click();
    }]);
    for (const tab of ["synonyms", "index", "placement"]) found.push([`collection-${tab}`, go(`${address}&tab=${tab}`)]);
    if (documents[0]) {
      const text = await (await page.request.get(`/api/v1/collections/${collection.id}/documents/${documents[0].id}/text`)).json();
      const passage = text.passages[1] ?? text.passages[0];
      found.push(["document", go(`/knowledge/document/?collection=${collection.id}&document=${documents[0].id}${passage ? `&passage=${passage.id}` : ""}`)]);
    }
    if (process.env.PLASMA_QUESTION) {
      found.push(["answer", async () => {
        await page.goto(`/ask/?collection=${collection.id}`);
        await page.getByLabel("Question").fill(process.env.PLASMA_QUESTION);
        await page.getByRole("button", { name: "Ask", exact: true }).click();
        await page.getByRole("button", { name: "Keep as document" }).waitFor({ timeout: 120_000 });
        await page.locator("[data-answer] [data-citation]").first().click({ timeout: 3000 }).catch(() => undefined);
      }]);
    }
  }
  if (written) {
    const address = `/content/document/?id=${written.id}`;
    found.push(["editor", go(address)], ["citations", go(`${address}&tab=citations`)], ["revisions", go(`${address}&tab=revisions`)]);
  }
  if (calls[0]) found.push(["call", go(`/models/call/?id=${calls[0].id}`)]);
  if (prompt) {
    const address = `/models/prompt/?name=${encodeURIComponent(prompt.name)}`;
    found.push(["prompt", go(address)], ["prompt-versions", go(`${address}&tab=versions`)], ["prompt-aliases", go(`${address}&tab=aliases`)]);
  }
  const benchmark = ended[0] ?? benchmarks[0];
  if (benchmark) found.push(["benchmark", go(`/models/benchmark/?id=${benchmark.id}`)]);
  if (ended.length > 1) found.push(["benchmark-comparison", go(`/models/benchmark/?ids=${ended[0].id},${ended[1].id}`)]);
  return found;
}
