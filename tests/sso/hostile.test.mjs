// A provider that lies: no lie opens a session, ends one, or makes Plasma ask without end.
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { after, before, describe, it } from "node:test";

import { HostileProvider } from "./hostile.mjs";
import { newWorkspace, operate, Person } from "./support.mjs";

describe("a provider that lies", { concurrency: false }, () => {
  let place, provider, connection;

  const enter = async (person = new Person()) => ({ person, ...(await person.enterBy(connection)) });

  before(async () => {
    place = await newWorkspace();
    provider = await HostileProvider.start();
    provider.claims = { sub: "eve", email: `eve@${place.domain}`, email_verified: true, sid: "s1" };
    connection = await place.owner.ask("POST", "/api/v1/connections", {
      name: "Hostile", preset: "custom", issuer: provider.issuer, client_id: provider.clientId, client_secret: provider.clientSecret,
      domains: [place.domain],
    });
    await operate("PUT", `/api/v1/domains/${place.domain}`, { tenant: place.tenant });
  });

  after(() => provider?.stop());

  it("is believed when it tells the truth", async () => {
    const { person, problem } = await enter();
    assert.equal(problem, null);
    assert.equal((await person.me()).user.email, `eve@${place.domain}`);
  });

  const other = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const now = () => Math.floor(Date.now() / 1000);
  const lies = {
    "another issuer": (token) => { token.claims.iss = "https://accounts.google.com"; },
    "another audience": (token) => { token.claims.aud = "somebody-else"; },
    "one audience more": (token) => { token.claims.aud = ["plasma", "somebody-else"]; },
    "another party": (token) => { token.claims.azp = "somebody-else"; },
    "no algorithm": (token) => { token.header.alg = "none"; },
    "the client's secret as key": (token) => { token.header.alg = "HS256"; token.key = provider.clientSecret; },
    "the public key as a shared one": (token) => { token.header.alg = "HS256"; token.key = provider.publicPem; },
    "somebody else's key": (token) => { token.key = other.privateKey; },
    "a key that it brings along": (token) => {
      token.header.jwk = other.publicKey.export({ format: "jwk" });
      token.header.kid = "mine";
      token.key = other.privateKey;
    },
    "another nonce": (token) => { token.claims.nonce = "0".repeat(43); },
    "no nonce": (token) => { delete token.claims.nonce; },
    "an end in the past": (token) => { token.claims.exp = now() - 600; },
    "a beginning in the future": (token) => { token.claims.iat = now() + 3_600; },
    "another access token": (token) => { token.claims.at_hash = "A".repeat(22); },
    "an access token in the place of an ID token": (token) => { token.header.typ = "at+jwt"; },
    "no subject": (token) => { delete token.claims.sub; },
  };
  for (const [name, change] of Object.entries(lies)) {
    it(`is not believed: ${name}`, async () => {
      provider.change = change;
      const { person, problem } = await enter();
      provider.change = () => {};
      assert.ok(["sso_token_refused", "provider_unusable"].includes(problem), `${problem}`);
      assert.equal(await person.me(), null);
    });
  }

  it("cannot make Plasma ask for its keys without end", async () => {
    const asked = provider.keysAsked;
    provider.change = (token) => { token.header.kid = `key-${Math.random()}`; };
    for (let number = 0; number < 8; number += 1) assert.equal((await enter()).problem, "sso_token_refused");
    provider.change = () => {};
    assert.ok(provider.keysAsked - asked <= 4, `asked ${provider.keysAsked - asked} times`);
    assert.equal((await enter()).problem, null);
  });

  it("ends no session with a logout token that does not hold, and one with one that does", async () => {
    const { person } = await enter();
    const event = { "http://schemas.openid.net/event/backchannel-logout": {} };
    const logout = (claims, change = () => {}) =>
      provider.token({ jti: "one", events: event, sub: undefined, email: undefined, ...claims }, (token) => {
        token.header.typ = "logout+jwt";
        change(token);
      });
    const post = async (token) => (await new Person().submit(connection.backchannel_logout_uri, { logout_token: token })).status;
    const refused = {
      "an ID token": provider.token({ nonce: "n" }),
      "a nonce": logout({ nonce: "n" }),
      "no event": logout({ events: undefined }),
      "another event": logout({ events: { "https://example.org/other": {} } }),
      "no id": logout({ jti: undefined }),
      "nobody": logout({ sid: undefined }),
      "another audience": logout({ aud: "somebody-else" }),
      "another issuer": logout({ iss: "https://evil.example" }),
      "an old one": logout({ iat: now() - 3_600 }),
      "no algorithm": logout({}, (token) => { token.header.alg = "none"; }),
      "a shared secret": logout({}, (token) => { token.header.alg = "HS256"; token.key = provider.clientSecret; }),
      "somebody else's key": logout({}, (token) => { token.key = other.privateKey; }),
    };
    for (const [name, token] of Object.entries(refused)) assert.equal(await post(token), 400, name);
    assert.notEqual(await person.me(), null);
    const right = logout({});
    assert.equal(await post(right), 200);
    assert.equal(await person.me(), null);
    assert.equal(await post(right), 400, "the same token says nothing twice");
  });

  it("is named as what is wrong by the test of the connection", async () => {
    for (const [discovery, name] of [
      [{ issuer: "https://evil.example" }, "issuer"],
      [{ jwks_uri: "http://10.0.0.1/keys" }, "endpoints"],
      [{ id_token_signing_alg_values_supported: ["HS256", "none"] }, "signatures"],
    ]) {
      provider.discovery = discovery;
      const test = await place.owner.ask("POST", `/api/v1/connections/${connection.id}/test`);
      assert.equal(test.ok, false);
      assert.equal(test.checks.find((check) => check.name === name)?.state, "failed", JSON.stringify(test));
    }
    provider.discovery = {};
    assert.equal((await place.owner.ask("POST", `/api/v1/connections/${connection.id}/test`)).ok, true);
  });
});
