// A provider that lies: it lets everybody in at once, and every token passes through `change` before it is signed.
import { createHmac, createSign, generateKeyPairSync } from "node:crypto";
import http from "node:http";

const encoded = (value) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

export class HostileProvider {
  clientId = "plasma";
  clientSecret = "a secret that both sides know";
  claims = {};
  discovery = {};
  /** What becomes of a token before it is signed. */
  change = () => {};
  /** How often keys were asked for. */
  keysAsked = 0;
  #codes = new Map();
  #pair = generateKeyPairSync("rsa", { modulusLength: 2048 });

  static async start() {
    const provider = new HostileProvider();
    provider.server = http.createServer((request, response) => void provider.#answer(request, response));
    await new Promise((ready) => provider.server.listen(0, "127.0.0.1", ready));
    provider.issuer = `http://localhost:${provider.server.address().port}`;
    return provider;
  }

  async stop() {
    this.server.closeAllConnections();
    await new Promise((closed) => this.server.close(closed));
  }

  get publicPem() {
    return this.#pair.publicKey.export({ format: "pem", type: "spki" });
  }

  signed({ header, claims, key }) {
    const input = `${encoded(header)}.${encoded(claims)}`;
    if (header.alg === "none") return `${input}.`;
    if (header.alg === "HS256") return `${input}.${createHmac("sha256", key).update(input).digest("base64url")}`;
    return `${input}.${createSign("RSA-SHA256").update(input).sign(key ?? this.#pair.privateKey, "base64url")}`;
  }

  /** A token about the person, made something else by `change`. */
  token(claims, change = this.change) {
    const now = Math.floor(Date.now() / 1000);
    const token = {
      header: { alg: "RS256", kid: "hostile", typ: "JWT" },
      claims: { iss: this.issuer, aud: this.clientId, iat: now, exp: now + 300, ...this.claims, ...claims },
      key: undefined,
    };
    change(token);
    return this.signed(token);
  }

  async #answer(request, response) {
    const url = new URL(request.url, this.issuer);
    const json = (body, status = 200) => {
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify(body));
    };
    let body = "";
    for await (const piece of request) body += piece;
    switch (url.pathname) {
      case "/.well-known/openid-configuration":
        return json({
          issuer: this.issuer,
          authorization_endpoint: `${this.issuer}/authorize`,
          token_endpoint: `${this.issuer}/token`,
          jwks_uri: `${this.issuer}/keys`,
          response_types_supported: ["code"],
          subject_types_supported: ["public"],
          id_token_signing_alg_values_supported: ["RS256"],
          code_challenge_methods_supported: ["S256"],
          ...this.discovery,
        });
      case "/keys":
        this.keysAsked += 1;
        return json({ keys: [{ ...this.#pair.publicKey.export({ format: "jwk" }), kid: "hostile", use: "sig", alg: "RS256" }] });
      case "/authorize": {
        const code = `code-${this.#codes.size}`;
        this.#codes.set(code, url.searchParams.get("nonce"));
        const back = new URL(url.searchParams.get("redirect_uri"));
        back.searchParams.set("state", url.searchParams.get("state"));
        back.searchParams.set("code", code);
        response.writeHead(302, { location: back.href });
        return response.end();
      }
      case "/token": {
        const nonce = this.#codes.get(new URLSearchParams(body).get("code"));
        if (!nonce) return json({ error: "invalid_grant" }, 400);
        return json({ access_token: "access", token_type: "Bearer", expires_in: 300, id_token: this.token({ nonce }) });
      }
      default:
        return json({ error: "not_found" }, 404);
    }
  }
}
