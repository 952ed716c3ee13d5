// What a browser does between Plasma and a provider: it keeps cookies for each host and follows redirects.
import assert from "node:assert/strict";

const REDIRECTS_MAX = 20;

export class Browser {
  /** Cookies by origin. */
  #jars = new Map();

  jar(url) {
    const { origin } = new URL(url);
    if (!this.#jars.has(origin)) this.#jars.set(origin, new Map());
    return this.#jars.get(origin);
  }

  /** One request, without following where it leads. */
  async request(url, { method = "GET", headers = {}, body } = {}) {
    const jar = this.jar(url);
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join("; ");
    const response = await fetch(url, {
      method,
      redirect: "manual",
      headers: { ...headers, ...(cookie && { cookie }) },
      body,
    });
    for (const line of response.headers.getSetCookie()) {
      const [pair, ...attributes] = line.split(";");
      const name = pair.slice(0, pair.indexOf("=")).trim();
      const value = pair.slice(pair.indexOf("=") + 1).trim();
      const ended = attributes.some((attribute) => {
        const [key, when] = attribute.trim().split("=");
        return (key.toLowerCase() === "max-age" && Number(when) <= 0) || (key.toLowerCase() === "expires" && Date.parse(when) <= Date.now());
      });
      if (ended || value === "") jar.delete(name);
      else jar.set(name, value);
    }
    return response;
  }

  /**
   * Opens an address and follows redirects until `until` says that it is far enough, or to the end. Returns where that is; a page at
   * which it stops because of `until` is not opened.
   */
  async open(url, { until = () => false } = {}) {
    let here = new URL(url);
    for (let step = 0; step < REDIRECTS_MAX; step += 1) {
      if (until(here)) return { url: here, status: null, text: "" };
      const response = await this.request(here);
      const location = response.headers.get("location");
      if (response.status < 300 || response.status >= 400 || !location) {
        return { url: here, status: response.status, text: await response.text() };
      }
      await response.arrayBuffer();
      here = new URL(location, here);
    }
    return assert.fail(`more than ${REDIRECTS_MAX} redirects, the last to ${here}`);
  }

  async submit(url, fields) {
    const response = await this.request(url, {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams(fields).toString(),
    });
    await response.arrayBuffer();
    return response;
  }
}
