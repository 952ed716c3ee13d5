// What must not work, tried with a real client and without one.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import * as client from "openid-client";

import { CALLBACK, ask, authorize, begin, configure, decide, postForm, refusal, register, settings, signIn, unregister } from "./support.mjs";

const SCOPE = "openid offline_access content:read";

let session;
let application;
let config;

before(async () => {
  session = await signIn();
  application = await register();
  config = await configure(application);
});

after(unregister);

const works = async (token) => (await fetch(`${settings.url}/api/v1/me`, { headers: { authorization: `Bearer ${token}` } })).status === 200;

test("a code that comes a second time ends what it gave", async () => {
  const { tokens, back, checks } = await authorize(config, session, SCOPE);
  assert.ok(await works(tokens.access_token));
  assert.equal(await refusal(client.authorizationCodeGrant(config, back, checks)), "invalid_grant");
  assert.ok(!(await works(tokens.access_token)));
  assert.equal(await refusal(client.refreshTokenGrant(config, tokens.refresh_token)), "invalid_grant");
});

test("a code that was injected into another login fails, and is burnt", async () => {
  const victim = await begin(config, SCOPE);
  const stolen = await decide(session, victim.url);
  const thief = await begin(config, SCOPE);
  const injected = new URL(stolen);
  injected.searchParams.set("state", thief.checks.expectedState);
  assert.equal(await refusal(client.authorizationCodeGrant(config, injected, thief.checks)), "invalid_grant");
  assert.equal(await refusal(client.authorizationCodeGrant(config, stolen, victim.checks)), "invalid_grant");
});

test("another application gets nothing for a code or a refresh token", async () => {
  const other = await configure(await register());
  const { url, checks } = await begin(config, SCOPE);
  const back = await decide(session, url);
  assert.equal(await refusal(client.authorizationCodeGrant(other, back, checks)), "invalid_grant");
  const { tokens } = await authorize(config, session, SCOPE);
  assert.equal(await refusal(client.refreshTokenGrant(other, tokens.refresh_token)), "invalid_grant");
  assert.equal((await client.tokenIntrospection(other, tokens.access_token)).active, false);
  assert.ok(await works(tokens.access_token));
});

test("an answer of another server is noticed", async () => {
  const { url, checks } = await begin(config, SCOPE);
  const back = await decide(session, url);
  assert.equal(back.searchParams.get("iss"), settings.url);
  for (const issuer of ["https://evil.example", ""]) {
    const mixed = new URL(back);
    mixed.searchParams.set("iss", issuer);
    await assert.rejects(client.authorizationCodeGrant(config, mixed, checks), issuer);
  }
});

test("a weaker proof, or none, gets no code", async () => {
  for (const weaker of [{ code_challenge_method: "plain" }, { code_challenge: "" }, { code_challenge_method: "" }]) {
    const { url } = await begin(config, SCOPE, weaker);
    const back = await decide(session, url);
    assert.equal(back.searchParams.get("error"), "invalid_request", JSON.stringify(weaker));
    assert.equal(back.searchParams.get("code"), null);
  }
  const { url } = await begin(config, SCOPE);
  const code = (await decide(session, url)).searchParams.get("code");
  const form = { grant_type: "authorization_code", code, redirect_uri: CALLBACK, client_id: application.id, client_secret: application.client_secret };
  assert.deepEqual((await postForm("/oauth/token", form)).body.error, "invalid_request");
});

test("an address that is not registered is told to nobody", async () => {
  for (const redirect_uri of ["https://evil.example/callback", `${CALLBACK}/../evil`, `${CALLBACK}?x=1`, "javascript:alert(1)", "https://app.example.evil.example/callback"]) {
    const { url } = await begin(config, SCOPE, { redirect_uri });
    await assert.rejects(decide(session, url), /not registered for this address/, redirect_uri);
  }
  const { url } = await begin(config, SCOPE);
  url.searchParams.append("redirect_uri", "https://evil.example/callback");
  await assert.rejects(decide(session, url), undefined, "an address that is there twice");
});

test("a wrong secret is refused, and nothing is kept on the way", async () => {
  const form = { grant_type: "client_credentials", client_id: application.id, client_secret: "plc_wrong" };
  const { status, body, headers } = await postForm("/oauth/token", form);
  assert.deepEqual([status, body.error, headers.get("cache-control")], [401, "invalid_client", "no-store"]);
  assert.match(headers.get("www-authenticate"), /^Basic/);
});

test("a page of another site gets no tokens", async () => {
  const { status } = await postForm("/oauth/token", { grant_type: "refresh_token" }, { origin: "https://evil.example", "sec-fetch-site": "cross-site" });
  assert.equal(status, 403);
});

test("an application does not get more than its person may, or more than it asked for", async () => {
  const { tokens } = await authorize(config, session, "content:read");
  const response = await fetch(`${settings.url}/api/v1/users`, { headers: { authorization: `Bearer ${tokens.access_token}` } });
  assert.equal(response.status, 403);
  const { url } = await begin(config, "tenants:delete");
  assert.equal((await decide(session, url)).searchParams.get("error"), "invalid_scope");
  await assert.rejects(ask("POST", "/api/v1/oauth/authorization-requests", { body: { request: {}, allow: true }, token: tokens.access_token }), /40[34]/);
});
