// Plasma and a real OpenID provider: everything that people, owners and the provider itself do.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { confirmLogout, TestProvider } from "./provider.mjs";
import { newWorkspace, oneTimeCode, operate, PASSWORD, Person, url } from "./support.mjs";

describe("single sign-on with a real provider", { concurrency: false }, () => {
  let place, owner, provider, connection, team;

  /** Lets `account` log in at the provider, in a browser of its own. */
  async function enterAs(account, person = new Person()) {
    provider.signsIn = account;
    return { person, ...(await person.enterBy(connection)) };
  }

  const userOf = async (email) => (await owner.ask("GET", "/api/v1/users?limit=200")).data.find((user) => user.email === email);

  before(async () => {
    place = await newWorkspace();
    owner = place.owner;
    provider = await TestProvider.start(place.domain);
    team = await owner.ask("POST", "/api/v1/teams", { name: "Writers" });
    connection = await owner.ask("POST", "/api/v1/connections", {
      name: "Test login",
      preset: "custom",
      issuer: provider.issuer,
      client_id: provider.clientId,
      client_secret: provider.clientSecret,
      scopes: ["email", "profile", "groups"],
      domains: [place.domain],
      rules: [
        { claim: "groups", value: "chiefs", role: "admin" },
        { claim: "groups", value: "writers", role: "editor", team: team.id },
      ],
      default_role: "viewer",
    });
    provider.register({
      redirect_uris: [connection.redirect_uri],
      post_logout_redirect_uris: [connection.post_logout_redirect_uri],
      backchannel_logout_uri: connection.backchannel_logout_uri,
      backchannel_logout_session_required: true,
    });
  });

  after(() => provider?.stop());

  it("never shows the client's secret", async () => {
    assert.equal(connection.has_client_secret, true);
    const shown = JSON.stringify(await owner.ask("GET", `/api/v1/connections/${connection.id}`));
    assert.ok(!shown.includes(provider.clientSecret));
    const events = JSON.stringify(await owner.ask("GET", "/api/v1/events?limit=200"));
    assert.ok(!events.includes(provider.clientSecret));
  });

  it("tests a connection, and says when the secret is wrong", async () => {
    const path = `/api/v1/connections/${connection.id}`;
    const fine = await owner.ask("POST", `${path}/test`);
    assert.equal(fine.ok, true, JSON.stringify(fine));
    await owner.ask("PATCH", path, { client_secret: "another secret" });
    const wrong = await owner.ask("POST", `${path}/test`);
    const client = wrong.checks.find((check) => check.name === "client");
    assert.equal(client.state, "failed", JSON.stringify(wrong));
    assert.match(client.detail, /invalid_client/);
    await owner.ask("PATCH", path, { client_secret: provider.clientSecret });
  });

  it("lets nobody in by an e-mail whose domain nobody has verified", async () => {
    assert.equal(connection.domains[0].state, "pending");
    assert.equal((await enterAs("ada")).problem, "sso_domain_foreign");
    const before = await new Person().ask("POST", "/api/v1/auth/methods", { email: `x@${place.domain}` });
    assert.deepEqual(before.connections, []);
    await operate("PUT", `/api/v1/domains/${place.domain}`, { tenant: place.tenant });
    const offered = await new Person().ask("POST", "/api/v1/auth/methods", { email: `x@${place.domain}` });
    assert.deepEqual(offered.connections, [{ id: connection.id, name: "Test login" }]);
    assert.equal(offered.enforced, false);
  });

  it("makes somebody new a user, with the role and the team that rules give", async () => {
    const { person, path, problem } = await enterAs("ada");
    assert.deepEqual([path, problem], ["/knowledge/", null]);
    const me = await person.me();
    assert.deepEqual([me.user.email, me.user.name, me.role], [`ada@${place.domain}`, "Ada Lovelace", "editor"]);
    const members = await owner.ask("GET", `/api/v1/teams/${team.id}/members`);
    assert.deepEqual(members.data.map((member) => member.user), [me.user.id]);
    const { person: bob } = await enterAs("bob");
    assert.equal((await bob.me()).role, "viewer");
  });

  it("applies the rules anew at each login", async () => {
    const groups = provider.accounts.ada.groups;
    provider.accounts.ada.groups = ["chiefs"];
    assert.equal((await (await enterAs("ada")).person.me()).role, "admin");
    assert.deepEqual((await owner.ask("GET", `/api/v1/teams/${team.id}/members`)).data, []);
    provider.accounts.ada.groups = groups;
    assert.equal((await (await enterAs("ada")).person.me()).role, "editor");
  });

  it("knows a person by issuer and subject when the e-mail changes", async () => {
    const before = await userOf(`ada@${place.domain}`);
    provider.accounts.ada.email = `lovelace@${place.domain}`;
    const me = await (await enterAs("ada")).person.me();
    assert.equal(me.user.id, before.id);
    provider.accounts.ada.email = `ada@${place.domain}`;
  });

  it("refuses an account with the same e-mail that is not verified", async () => {
    const { person, problem } = await enterAs("mallory");
    assert.equal(problem, "sso_email_unverified");
    assert.equal(await person.me(), null);
    // Verified, it is still another account than the one that is linked.
    provider.accounts.mallory.email_verified = true;
    assert.equal((await enterAs("mallory")).problem, "sso_other_account_linked");
    provider.accounts.mallory.email_verified = false;
  });

  it("refuses e-mails of other domains", async () => {
    assert.equal((await enterAs("guest")).problem, "sso_domain_foreign");
  });

  it("binds a login to its browser, and lets it be finished once", async () => {
    provider.signsIn = "ada";
    const person = new Person();
    const end = await person.open(connection.login_url, { until: (here) => here.pathname.endsWith("/sso/callback") });
    const stolen = await new Person().open(end.url, { until: (here) => here.pathname.startsWith("/login") });
    assert.equal(stolen.url.searchParams.get("problem"), "sso_other_browser");
    const again = await person.open(end.url, { until: (here) => here.pathname.startsWith("/login") });
    assert.equal(again.url.searchParams.get("problem"), "sso_state_unknown");
    assert.equal(await person.me(), null);
    // Another state than the one that was given out.
    const second = await person.open(connection.login_url, { until: (here) => here.pathname.endsWith("/sso/callback") });
    second.url.searchParams.set("state", "0".repeat(52));
    const forged = await person.open(second.url, { until: (here) => here.pathname.startsWith("/login") });
    assert.equal(forged.url.searchParams.get("problem"), "sso_state_unknown");
  });

  it("refuses the answer of another provider, and a code of another login", async () => {
    provider.signsIn = "ada";
    const person = new Person();
    const until = (here) => here.pathname.endsWith("/sso/callback");
    const mixed = await person.open(connection.login_url, { until });
    mixed.url.searchParams.set("iss", "https://evil.example");
    const refused = await person.open(mixed.url, { until: (here) => here.pathname.startsWith("/login") });
    assert.equal(refused.url.searchParams.get("problem"), "sso_issuer_mismatch");
    const [one, two] = [await person.open(connection.login_url, { until }), await new Person().open(connection.login_url, { until })];
    one.url.searchParams.set("code", two.url.searchParams.get("code"));
    const injected = await person.open(one.url, { until: (here) => here.pathname.startsWith("/login") });
    assert.equal(injected.url.searchParams.get("problem"), "sso_code_refused");
  });

  it("asks a person whom another site has sent", async () => {
    const response = await new Person().request(connection.login_url, { headers: { "sec-fetch-site": "cross-site" } });
    assert.equal(response.headers.get("location"), `/login/?connection=${connection.id}`);
  });

  it("says so when the provider lets somebody not in", async () => {
    provider.refuses = true;
    assert.equal((await enterAs("ada")).problem, "sso_provider_refused");
    provider.refuses = false;
  });

  it("follows the provider's keys when they change", async () => {
    for (let round = 0; round < 2; round += 1) {
      provider.rotateKeys();
      assert.equal((await enterAs("ada")).problem, null, `after ${round + 1} changes`);
    }
  });

  it("ends both sessions when somebody logs out here", async () => {
    const { person } = await enterAs("ada");
    const { url: there } = await person.ask("POST", "/api/v1/auth/sso/logout");
    assert.equal(await person.me(), null);
    assert.ok(there.startsWith(`${provider.issuer}/`) && there.includes("id_token_hint="), there);
    const left = await confirmLogout(person, there);
    assert.equal(left.headers.get("location"), connection.post_logout_redirect_uri);
    // The provider asks anew who it is.
    assert.equal((await (await enterAs("bob", person)).person.me()).user.email, `bob@${place.domain}`);
  });

  it("ends the right sessions when somebody logs out there", async () => {
    const [{ person: ada }, { person: elsewhere }, { person: bob }] = [await enterAs("ada"), await enterAs("ada"), await enterAs("bob")];
    await confirmLogout(ada, `${provider.issuer}/session/end`);
    assert.equal(await ada.me(), null, "the session that began there has ended");
    assert.notEqual(await elsewhere.me(), null, "the one of another browser goes on");
    assert.notEqual(await bob.me(), null, "and so do other people's");
  });

  it("links an account to a person who is logged in, whatever its e-mail", async () => {
    provider.signsIn = "guest";
    const { url: there } = await owner.ask("POST", "/api/v1/me/linked-accounts", { connection: connection.id });
    const end = await owner.open(there, { until: (here) => here.origin === url && here.pathname.startsWith("/settings/") });
    assert.equal(end.url.searchParams.get("linked"), connection.id);
    const [account] = (await owner.ask("GET", "/api/v1/me/linked-accounts")).data;
    assert.deepEqual([account.linked, account.email], [true, "guest@elsewhere.example"]);
    const { person } = await enterAs("guest");
    assert.equal((await person.me()).user.email, place.email);
    // An owner stays one: no rule speaks of them, and the default takes nothing from owners.
    assert.equal((await person.me()).role, "owner");
    await owner.ask("DELETE", `/api/v1/me/linked-accounts/${connection.id}`);
    assert.equal(await person.me(), null);
    assert.equal((await enterAs("guest")).problem, "sso_domain_foreign");
  });

  it("is enforced for everybody but the owners who are kept for emergencies", async () => {
    const email = `cem@${place.domain}`;
    await owner.ask("POST", "/api/v1/users", { email, name: "Cem", role: "editor", password: PASSWORD });
    const cem = new Person();
    assert.equal((await cem.logIn(email, PASSWORD)).status, 200);
    const { user } = await owner.me();
    const enforce = { enforced: true, break_glass: [user.id] };
    assert.equal((await owner.call("PUT", "/api/v1/single-sign-on", { enforced: true, break_glass: [] })).status, 400);
    assert.equal((await owner.call("PUT", "/api/v1/single-sign-on", enforce)).body.reason, "break_glass_without_factor");
    const { secret } = await owner.ask("POST", "/api/v1/me/totp");
    await owner.ask("POST", "/api/v1/me/totp/confirm", { code: oneTimeCode(secret) });
    assert.equal((await owner.ask("PUT", "/api/v1/single-sign-on", enforce)).enforced, true);

    assert.equal(await cem.me(), null, "sessions that began with a password have ended");
    assert.equal((await cem.logIn(email, PASSWORD)).body.reason, "single_sign_on_required");
    const offered = await new Person().ask("POST", "/api/v1/auth/methods", { email });
    assert.equal(offered.enforced, true);
    assert.equal((await enterAs("ada")).problem, null);

    assert.notEqual(await owner.me(), null, "the owner's own session goes on");
    const emergency = new Person();
    const first = await emergency.logIn(place.email, PASSWORD);
    assert.equal(first.status, 202, "a password alone is not enough");
    const code = oneTimeCode(secret, Date.now() + 30_000);
    await emergency.ask("POST", "/api/v1/auth/totp", { pending_token: first.body.pending_token, code });
    assert.equal((await emergency.me()).user.email, place.email);

    const disable = await owner.call("PATCH", `/api/v1/connections/${connection.id}`, { enabled: false });
    assert.equal(disable.body.reason, "connection_needed");
    assert.equal((await owner.call("DELETE", `/api/v1/connections/${connection.id}`)).body.reason, "connection_needed");
    await owner.ask("PUT", "/api/v1/single-sign-on", { enforced: false, break_glass: [] });
    assert.equal((await cem.logIn(email, PASSWORD)).status, 200);
  });

  it("ends its sessions when a connection is disabled", async () => {
    const { person } = await enterAs("ada");
    await owner.ask("PATCH", `/api/v1/connections/${connection.id}`, { enabled: false });
    assert.equal(await person.me(), null);
    assert.equal((await enterAs("ada")).problem, "connection_not_found");
    await owner.ask("PATCH", `/api/v1/connections/${connection.id}`, { enabled: true });
    assert.equal((await enterAs("ada")).problem, null);
  });
});
