// The same login in a real browser, for which Plasma (127.0.0.1) and the provider (localhost) are two sites.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";

import { chromium } from "playwright-core";

import { TestProvider } from "./provider.mjs";
import { newWorkspace, operate, url } from "./support.mjs";

const executablePath = process.env.PLASMA_CHROMIUM ?? "/usr/bin/chromium";
const FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

describe("single sign-on in Chromium", { concurrency: false, skip: !existsSync(executablePath) && "there is no Chromium" }, () => {
  let place, provider, connection, profile, context;

  before(async () => {
    place = await newWorkspace();
    provider = await TestProvider.start(place.domain);
    connection = await place.owner.ask("POST", "/api/v1/connections", {
      name: "Test login", preset: "custom", issuer: provider.issuer, client_id: provider.clientId, client_secret: provider.clientSecret,
      domains: [place.domain],
    });
    await operate("PUT", `/api/v1/domains/${place.domain}`, { tenant: place.tenant });
    provider.register({ redirect_uris: [connection.redirect_uri], post_logout_redirect_uris: [connection.post_logout_redirect_uri] });
    profile = await mkdtemp(path.join(os.tmpdir(), "plasma-sso-"));
    context = await chromium.launchPersistentContext(profile, { executablePath, args: FLAGS, baseURL: url });
    context.setDefaultTimeout(20_000);
  });

  after(async () => {
    await context?.close();
    await provider?.stop();
    if (profile) await rm(profile, { recursive: true, force: true });
  });

  it("goes to the provider and comes back into the dashboard", async () => {
    const page = await context.newPage();
    await page.goto(`${connection.login_url}?next=${encodeURIComponent("/knowledge/")}`);
    await page.getByRole("navigation", { name: "Main" }).first().waitFor();
    assert.equal(new URL(page.url()).pathname, "/knowledge/");
    const cookies = await context.cookies(url);
    const session = cookies.find((cookie) => cookie.name === "plasma_session");
    assert.deepEqual([session.httpOnly, session.sameSite], [true, "Strict"]);
    const me = await page.evaluate(async () => (await fetch("/api/v1/me")).json());
    assert.equal(me.user.email, `ada@${place.domain}`);
  });

  it("says in words why somebody was not let in", async () => {
    await context.clearCookies();
    provider.signsIn = "mallory";
    const page = await context.newPage();
    await page.goto(connection.login_url);
    await page.getByRole("alert").first().waitFor();
    assert.match(await page.getByRole("alert").first().innerText(), /verified/i);
    assert.equal(new URL(page.url()).searchParams.get("problem"), "sso_email_unverified");
  });
});
