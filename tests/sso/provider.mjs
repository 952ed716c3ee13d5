// A real OpenID provider: npm `oidc-provider`, with a few accounts that need no password. Whoever logs in is `signsIn`.
import { generateKeyPairSync, randomBytes } from "node:crypto";
import http from "node:http";
import { pathToFileURL } from "node:url";

import Provider from "oidc-provider";

/** Claims by the account's id, which is its subject. `DOMAIN` stands for the domain of the test. */
const ACCOUNTS = {
  ada: { email: "ada@DOMAIN", email_verified: true, name: "Ada Lovelace", groups: ["writers", "everybody"] },
  bob: { email: "bob@DOMAIN", email_verified: true, name: "Bob", groups: ["everybody"] },
  mallory: { email: "ada@DOMAIN", email_verified: false, name: "Mallory", groups: [] },
  guest: { email: "guest@elsewhere.example", email_verified: true, name: "Guest", groups: ["everybody"] },
  chief: { email: "chief@DOMAIN", email_verified: true, name: "Chief", groups: ["chiefs"] },
};

function newKey(name) {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return { ...privateKey.export({ format: "jwk" }), kid: name, use: "sig", alg: "RS256" };
}

export class TestProvider {
  /** Who logs in next. */
  signsIn = "ada";
  /** Whether the person says no. */
  refuses = false;
  clientId = "plasma";
  clientSecret = randomBytes(24).toString("base64url");
  #client = { redirect_uris: ["https://unused.invalid/"] };
  #keys = [newKey("key-1")];
  #cookieKeys = [randomBytes(16).toString("hex")];
  #serves;

  static async start(domain, port = 0) {
    const provider = new TestProvider();
    provider.accounts = JSON.parse(JSON.stringify(ACCOUNTS).replaceAll("DOMAIN", domain));
    provider.server = http.createServer((request, response) => void provider.#answer(request, response));
    await new Promise((ready) => provider.server.listen(port, "127.0.0.1", ready));
    // By name: another site than Plasma, which is 127.0.0.1.
    provider.issuer = `http://localhost:${provider.server.address().port}`;
    provider.#rebuild();
    return provider;
  }

  /** Says what the provider knows of Plasma. */
  register(client) {
    this.#client = client;
    this.#rebuild();
  }

  /** Signs with a new key from now on; keys before the last one are withdrawn. */
  rotateKeys() {
    this.#keys = [newKey(`key-${randomBytes(4).toString("hex")}`), this.#keys[0]];
    this.#rebuild();
  }

  async stop() {
    this.server.closeAllConnections();
    await new Promise((closed) => this.server.close(closed));
  }

  // What was given out stays: the package keeps it outside of the instance.
  #rebuild() {
    this.#serves = new Provider(this.issuer, {
      clients: [{
        client_id: this.clientId,
        client_secret: this.clientSecret,
        grant_types: ["authorization_code"],
        response_types: ["code"],
        token_endpoint_auth_method: "client_secret_basic",
        ...this.#client,
      }],
      jwks: { keys: this.#keys },
      cookies: { keys: this.#cookieKeys },
      claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"], groups: ["groups"] },
      findAccount: async (_, id) => this.accounts[id] && { accountId: id, claims: async () => ({ sub: id, ...this.accounts[id] }) },
      features: {
        devInteractions: { enabled: false },
        rpInitiatedLogout: { enabled: true },
        backchannelLogout: { enabled: true },
      },
      interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
      // Plasma is on this machine, where the provider's own guard lets nothing go.
      fetch: (url, options) => fetch(url, { ...options, dispatcher: undefined }),
    });
    this.#serves.on("backchannel.error", (_, error) => console.error("logging out at the client:", error));
  }

  async #answer(request, response) {
    try {
      if (request.url.startsWith("/interaction/")) await this.#interact(request, response);
      else this.#serves.callback()(request, response);
    } catch (error) {
      response.writeHead(500, { "content-type": "text/plain" });
      response.end(String(error?.stack ?? error));
    }
  }

  // Login and consent in one step, as the account whose turn it is.
  async #interact(request, response) {
    const serves = this.#serves;
    const { params } = await serves.interactionDetails(request, response);
    if (this.refuses) {
      const refusal = { error: "access_denied", error_description: "the person said no" };
      await serves.interactionFinished(request, response, refusal, { mergeWithLastSubmission: false });
      return;
    }
    const grant = new serves.Grant({ accountId: this.signsIn, clientId: params.client_id });
    grant.addOIDCScope(params.scope);
    const result = { login: { accountId: this.signsIn }, consent: { grantId: await grant.save() } };
    await serves.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
  }
}

/** Confirms the provider's own page that asks whether one wants to log out, in the browser that is there. */
export async function confirmLogout(browser, url) {
  const page = await browser.open(url);
  const action = /action="([^"]+)"/.exec(page.text)?.[1];
  const xsrf = /name="xsrf" value="([^"]+)"/.exec(page.text)?.[1];
  if (!action || !xsrf) throw new Error(`no form for logging out at ${url}: ${page.status} ${page.text.slice(0, 400)}`);
  return browser.submit(new URL(action, page.url), { xsrf, logout: "yes" });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const provider = await TestProvider.start(process.env.DOMAIN ?? "example.org", Number(process.env.PORT ?? 4400));
  const plasma = (process.env.PLASMA_URL ?? "http://127.0.0.1:8080").replace(/\/$/, "");
  provider.register({ redirect_uris: [`${plasma}/api/v1/auth/sso/callback`], post_logout_redirect_uris: [`${plasma}/login/`] });
  provider.signsIn = process.env.ACCOUNT ?? "ada";
  console.log(`issuer ${provider.issuer}\nclient id ${provider.clientId}\nclient secret ${provider.clientSecret}\nlogs in ${provider.signsIn}`);
}
