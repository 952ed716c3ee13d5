// What the walk and the screenshots share: the browser, the sign-in, and a clear word when something is missing.
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";

import { chromium } from "playwright-core";

export const settings = {
  url: required("PLASMA_URL").replace(/\/$/, ""),
  email: required("PLASMA_EMAIL"),
  password: required("PLASMA_PASSWORD"),
  chromium: process.env.PLASMA_CHROMIUM ?? "/usr/bin/chromium",
};

function required(name) {
  const value = process.env[name];
  if (value) return value;
  console.error(`${name} is not set. These tests drive a running server: set PLASMA_URL, PLASMA_EMAIL and PLASMA_PASSWORD.`);
  process.exit(2);
}

const FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

/** A browser with a profile of its own, which is gone once it is closed. */
export async function openBrowser(options = {}) {
  const profile = await mkdtemp(path.join(os.tmpdir(), "plasma-browser-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: settings.chromium,
    args: FLAGS,
    baseURL: settings.url,
    viewport: { width: 1360, height: 900 },
    reducedMotion: "reduce",
    ...options,
  });
  context.setDefaultTimeout(15_000);
  return {
    context,
    async close() {
      await context.close();
      await rm(profile, { recursive: true, force: true });
    },
  };
}

export async function signIn(page, { email = settings.email, password = settings.password } = {}) {
  await page.goto("/login/");
  await page.getByLabel("E-mail").fill(email);
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.getByRole("navigation", { name: "Main" }).first().waitFor();
}

/** Collects what must never happen on any page: errors, refused resources, requests to other hosts. */
export function watchPage(page, ours = new URL(settings.url).host) {
  const faults = [];
  page.on("pageerror", (error) => faults.push(`error in the page: ${error.message}`));
  page.on("console", (message) => {
    // A refused request is reported by the browser as well; the tests that provoke one know about it.
    if (message.type() === "error" && !/Failed to load resource/.test(message.text())) faults.push(`console: ${message.text()}`);
  });
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (/^(https?|wss?):$/.test(url.protocol) && url.host !== ours) faults.push(`request to another host: ${request.url()}`);
  });
  return faults;
}

/** How far the page can be scrolled sideways, in pixels, and what sticks out. */
export async function sidewaysOverflow(page) {
  return page.evaluate(() => {
    const root = document.documentElement;
    const over = root.scrollWidth - root.clientWidth;
    if (over <= 0) return { over: 0, culprits: [] };
    const culprits = [...document.querySelectorAll("body *")]
      .filter((element) => element.getBoundingClientRect().right > root.clientWidth + 1)
      .slice(0, 5)
      .map((element) => `${element.tagName.toLowerCase()}.${String(element.className).slice(0, 60)}`);
    return { over, culprits };
  });
}
