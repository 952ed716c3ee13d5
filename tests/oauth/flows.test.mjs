// What an application does that keeps to the rules.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import * as client from "openid-client";

import { ask, authorize, begin, configure, decide, refusal, register, settings, signIn, unregister } from "./support.mjs";

const SCOPE = "openid profile email offline_access content:read";

let session;
let me;

before(async () => {
  session = await signIn();
  me = await ask("GET", "/api/v1/me", { token: session });
});

after(unregister);

const WAYS = [
  ["a secret in the header", "confidential", (secret) => client.ClientSecretBasic(secret)],
  ["a secret in the body", "confidential", (secret) => client.ClientSecretPost(secret)],
  ["no secret", "public", () => client.None()],
];

for (const [name, kind, authentication] of WAYS) {
  test(`a person lets an application in that has ${name}`, async () => {
    const application = await register({ kind });
    const config = await configure(application, authentication(application.client_secret));
    assert.equal(config.serverMetadata().issuer, settings.url);
    const { tokens } = await authorize(config, session, SCOPE, { max_age: "86400" });
    assert.equal(tokens.token_type.toLowerCase(), "bearer");
    assert.ok(tokens.expires_in > 3590 && tokens.expires_in <= 3600, `${tokens.expires_in} s`);
    assert.deepEqual(tokens.scope.split(" ").sort(), SCOPE.split(" ").sort());
    const claims = tokens.claims();
    assert.deepEqual([claims.sub, claims.aud, claims.email, claims.name, claims.tenant], [me.user.id, application.id, me.user.email, me.user.name, me.tenant.id]);
    assert.equal(typeof claims.at_hash, "string");
    assert.ok(Math.abs(claims.auth_time - Date.now() / 1000) < 3600, `signed in at ${claims.auth_time}`);

    const info = await client.fetchUserInfo(config, tokens.access_token, claims.sub);
    assert.deepEqual([info.sub, info.email, info.name], [me.user.id, me.user.email, me.user.name]);
    const url = new URL("/api/v1/me", settings.url);
    const seen = await (await client.fetchProtectedResource(config, tokens.access_token, url, "GET")).json();
    assert.deepEqual(seen.actor, { kind: "application", id: application.id, name: application.name });
    assert.deepEqual(seen.permissions, ["content:read"]);

    const next = await client.refreshTokenGrant(config, tokens.refresh_token);
    assert.notEqual(next.access_token, tokens.access_token);
    assert.equal(next.claims().sub, me.user.id);
    if (kind === "confidential") {
      const known = await client.tokenIntrospection(config, next.access_token);
      assert.deepEqual([known.active, known.client_id, known.sub], [true, application.id, me.user.id]);
    }
    await client.tokenRevocation(config, next.refresh_token);
    assert.equal(await refusal(client.refreshTokenGrant(config, next.refresh_token)), "invalid_grant");
    if (kind === "confidential") assert.equal((await client.tokenIntrospection(config, next.access_token)).active, false);
  });
}

test("what was allowed is remembered, and can be asked for silently", async () => {
  const application = await register();
  const config = await configure(application);
  const silent = async () => decide(session, (await begin(config, "openid content:read", { prompt: "none" })).url);
  assert.equal((await silent()).searchParams.get("error"), "consent_required");
  await authorize(config, session, "openid content:read");
  assert.ok((await silent()).searchParams.get("code"));
  const { url, checks } = await begin(config, "openid search:query");
  const refused = await decide(session, url, false);
  assert.equal(await refusal(client.authorizationCodeGrant(config, refused, checks)), "access_denied");
});

test("a device is let in by its code", async () => {
  const application = await register({ kind: "public" });
  const config = await configure(application);
  const device = await client.initiateDeviceAuthorization(config, { scope: "openid offline_access content:read" });
  assert.match(device.user_code, /^[BCDFGHJKMNPQRSTVWXZ]{4}-[BCDFGHJKMNPQRSTVWXZ]{4}$/);
  assert.ok(device.verification_uri_complete.endsWith(device.user_code));
  const polling = client.pollDeviceAuthorizationGrant(config, device);
  await ask("POST", "/api/v1/oauth/device-decisions", { body: { user_code: device.user_code, allow: true }, token: session });
  const tokens = await polling;
  assert.equal(tokens.claims().sub, me.user.id);
  assert.ok(tokens.refresh_token);
});

test("an application acts for itself", async () => {
  const application = await register({ own_permissions: ["search:query", "collections:read"] });
  const config = await configure(application);
  const tokens = await client.clientCredentialsGrant(config, { scope: "collections:read" });
  assert.equal(tokens.refresh_token, undefined);
  const response = await client.fetchProtectedResource(config, tokens.access_token, new URL("/api/v1/collections", settings.url), "GET");
  assert.equal(response.status, 200);
  const seen = await ask("GET", "/api/v1/me", { token: tokens.access_token });
  assert.deepEqual([seen.user, seen.permissions], [null, ["collections:read"]]);
});

test("a client that races with itself is not logged out", async () => {
  const application = await register();
  const config = await configure(application);
  const { tokens } = await authorize(config, session, SCOPE);
  const answers = await Promise.all(Array.from({ length: 100 }, () => client.refreshTokenGrant(config, tokens.refresh_token)));
  assert.equal(new Set(answers.map((answer) => answer.refresh_token)).size, 1);
  assert.equal(new Set(answers.map((answer) => answer.access_token)).size, 1);
  const next = await client.refreshTokenGrant(config, answers[0].refresh_token);
  assert.equal((await ask("GET", "/api/v1/me", { token: next.access_token })).user.id, me.user.id);
  const grants = await ask("GET", "/api/v1/me/grants", { token: session });
  assert.equal(grants.data.find((grant) => grant.application === application.id).authorizations, 1);
});

test("the address of a program on this machine may have any port", async () => {
  const application = await register({ kind: "public", redirect_uris: ["http://127.0.0.1/callback"] });
  const config = await configure(application);
  const { url, checks } = await begin(config, "openid", { redirect_uri: "http://127.0.0.1:51004/callback" });
  const back = await decide(session, url);
  assert.ok(back.href.startsWith("http://127.0.0.1:51004/callback?"));
  assert.equal((await client.authorizationCodeGrant(config, back, checks)).claims().sub, me.user.id);
});
