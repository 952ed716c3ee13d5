//! Logging in by an identity provider: who gets in, as whom, with which role, and how it ends.

use plasma_identity::{
    Connection, ConnectionChange, DomainState, DomainVerifier, MappingRule, NewConnection, NewTeam, Preset, Secret,
    SingleSignOn, UserChange,
};
use plasma_kernel::{Ctx, Role, TeamId};
use plasma_testkit::on_each_database;
use serde_json::{Value, json};

use crate::{
    isolation::second_tenant,
    oidc::{CLIENT, Plasma, Provider, SECRET},
    support::{World, page, reason},
};

pub fn new_connection(provider: &Provider) -> NewConnection {
    NewConnection {
        name: "Acme login".to_owned(),
        preset: Preset::Custom,
        account: None,
        issuer: Some(provider.issuer.clone()),
        client_id: CLIENT.to_owned(),
        client_secret: Some(Secret::new(SECRET)),
        scopes: None,
        email_verified_claim: None,
        required_claims: Vec::new(),
        domains: vec!["example.org".to_owned()],
        rules: Vec::new(),
        default_role: Some(Role::Viewer),
        creates_users: true,
        enabled: true,
    }
}

/// The owner's connection to the provider. The owner operates the installation, so that its domain is verified.
pub async fn connect(world: &World, provider: &Provider) -> Connection {
    world.identity.create_connection(&world.owner, new_connection(provider)).await.unwrap()
}

pub fn ada() -> Value {
    json!({"sub": "ada-1", "email": "ada@example.org", "email_verified": true, "name": "Ada", "sid": "s1"})
}

pub fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

fn rule(claim: &str, value: &str, role: Option<Role>, team: Option<TeamId>) -> MappingRule {
    MappingRule { claim: claim.to_owned(), value: value.to_owned(), role, custom_role: None, team }
}

async fn team(world: &World, name: &str) -> TeamId {
    let new = NewTeam { name: name.to_owned(), description: String::new() };
    world.identity.create_team(&world.owner, new).await.unwrap().id
}

async fn user(world: &World, email: &str) -> Option<plasma_identity::User> {
    let users = world.identity.users(&world.owner, &page()).await.unwrap().data;
    users.into_iter().find(|user| user.email == email)
}

async fn count(world: &World, ctx: &Ctx, kind: &str) -> usize {
    world.events(ctx).await.iter().filter(|event| event.0 == kind).count()
}

on_each_database! {
    async fn somebody_new_gets_in_with_the_roles_and_teams_that_rules_give(test: TestStore) {
        let world = World::new(test.store()).await;
        let (provider, plasma) = (Provider::start(&world).await, Plasma::start(&world).await);
        let (writers, staff) = (team(&world, "Writers").await, team(&world, "Staff").await);
        let mut new = new_connection(&provider);
        new.rules = vec![
            rule("groups", "admins", Some(Role::Admin), None),
            rule("groups", "writers", Some(Role::Editor), Some(writers)),
            rule("realm.kind", "staff", None, Some(staff)),
        ];
        let connection = world.identity.create_connection(&world.owner, new).await.unwrap();
        assert_eq!(connection.domains[0].state, DomainState::Verified);
        assert_eq!(connection.domains[0].verified_by, Some(DomainVerifier::Operator));
        let id = connection.id.to_string();

        let mut browser = plasma.browser();
        let claims = with(with(ada(), "groups", json!(["writers"])), "realm", json!({"kind": "staff"}));
        let answer = browser.login(&provider, &id, claims.clone()).await;
        assert_eq!((answer.status, answer.location.as_deref()), (302, Some("/knowledge/")));
        let me = browser.get("/api/v1/me").await.body;
        assert_eq!((&me["user"]["email"], &me["user"]["name"], &me["role"]), (&json!("ada@example.org"), &json!("Ada"), &json!("editor")));
        let ada = user(&world, "ada@example.org").await.unwrap();
        for team in [writers, staff] {
            let members = world.identity.team_members(&world.owner, team, &page()).await.unwrap().data;
            assert_eq!(members.iter().map(|member| member.user).collect::<Vec<_>>(), [ada.id]);
        }

        // The e-mail may change: issuer and subject decide. Roles and teams follow what the provider says now.
        let claims = with(with(claims, "groups", json!(["admins"])), "email", json!("lovelace@elsewhere.example"));
        browser.login(&provider, &id, claims.clone()).await;
        assert_eq!(user(&world, "ada@example.org").await.unwrap().role, Role::Admin);
        assert!(world.identity.team_members(&world.owner, writers, &page()).await.unwrap().data.is_empty());
        assert_eq!(world.identity.team_members(&world.owner, staff, &page()).await.unwrap().data.len(), 1);
        let claims = with(with(claims, "groups", json!(null)), "realm", json!({}));
        browser.login(&provider, &id, claims).await;
        assert_eq!(user(&world, "ada@example.org").await.unwrap().role, Role::Viewer);
        assert!(world.identity.team_members(&world.owner, staff, &page()).await.unwrap().data.is_empty());
        assert_eq!(count(&world, &world.owner, "identity.user.created").await, 2);
        assert_eq!(count(&world, &world.owner, "identity.account.linked").await, 1);
    }

    async fn nobody_takes_an_account_over_by_an_email(test: TestStore) {
        let world = World::new(test.store()).await;
        let (provider, plasma) = (Provider::start(&world).await, Plasma::start(&world).await);
        let id = connect(&world, &provider).await.id.to_string();
        let bea = world.add("bea", Role::Admin).await;
        let bea_claims = json!({"sub": "x", "email": "bea@example.org", "email_verified": true});
        for (claims, problem) in [
            (with(bea_claims.clone(), "email_verified", json!(false)), "sso_email_unverified"),
            (json!({"sub": "x", "email": "bea@example.org"}), "sso_email_unverified"),
            (json!({"sub": "x"}), "sso_email_missing"),
            (json!({"sub": "x", "email": "no e-mail", "email_verified": true}), "sso_email_missing"),
            (with(bea_claims.clone(), "email", json!("bea@other.example")), "sso_domain_foreign"),
            (with(bea_claims.clone(), "email", json!("bea@sub.example.org")), "sso_domain_foreign"),
            // The owner manages the installation: more than the tenant.
            (with(bea_claims.clone(), "email", json!("owner@example.org")), "sso_link_first"),
        ] {
            let mut browser = plasma.browser();
            let answer = browser.login(&provider, &id, claims.clone()).await;
            assert_eq!(answer.problem().as_deref(), Some(problem), "{claims}");
            assert_eq!(browser.session(), None);
        }
        assert_eq!(count(&world, &world.owner, "identity.account.linked").await, 0);
        assert_eq!(count(&world, &world.owner, "identity.single_sign_on.refused").await, 7);

        // With a verified e-mail of the workspace's own domain it is hers.
        let mut browser = plasma.browser();
        browser.login(&provider, &id, with(bea_claims.clone(), "sub", json!("bea-1"))).await;
        assert_eq!(browser.get("/api/v1/me").await.body["user"]["id"], json!(bea.id));
        // And from then on no other account's, whoever has the e-mail now.
        let answer = plasma.browser().login(&provider, &id, with(bea_claims, "sub", json!("bea-2"))).await;
        assert_eq!(answer.problem().as_deref(), Some("sso_other_account_linked"));
    }

    async fn another_tenants_people_are_not_opened(test: TestStore) {
        let world = World::new(test.store()).await;
        let (provider, plasma) = (Provider::start(&world).await, Plasma::start(&world).await);
        let id = connect(&world, &provider).await.id.to_string();
        // bea@example.org owns another workspace.
        second_tenant(&world).await;
        let claims = json!({"sub": "x", "email": "bea@example.org", "email_verified": true});
        let answer = plasma.browser().login(&provider, &id, claims).await;
        assert_eq!(answer.problem().as_deref(), Some("sso_link_first"));
    }

    async fn a_login_belongs_to_one_browser_and_is_finished_once(test: TestStore) {
        let world = World::new(test.store()).await;
        let (provider, plasma) = (Provider::start(&world).await, Plasma::start(&world).await);
        let id = connect(&world, &provider).await.id.to_string();
        let mut browser = plasma.browser();
        let query = browser.begin(&id).await;
        assert_eq!((query["response_type"].as_str(), query["client_id"].as_str()), ("code", CLIENT));
        assert_eq!((query["code_challenge_method"].as_str(), query["scope"].as_str()), ("S256", "openid email profile"));
        let code = provider.allow(&query, ada());
        // Somebody else's browser: what an attacker does who wants to log a victim in as themselves.
        let stolen = plasma.browser().come_back(&query["state"], &code).await;
        assert_eq!(stolen.problem().as_deref(), Some("sso_other_browser"));
        // The state is used up by it.
        assert_eq!(browser.come_back(&query["state"], &code).await.problem().as_deref(), Some("sso_state_unknown"));
        for state in ["", "x", &"0".repeat(52), &"0".repeat(5_000)] {
            assert_eq!(browser.come_back(state, &code).await.problem().as_deref(), Some("sso_state_unknown"));
        }

        let query = browser.begin(&id).await;
        let code = provider.allow(&query, ada());
        world.clock.advance(std::time::Duration::from_secs(601));
        assert_eq!(browser.come_back(&query["state"], &code).await.problem().as_deref(), Some("sso_expired"));

        // Two tabs of one browser do not disturb each other.
        let (one, two) = (browser.begin(&id).await, browser.begin(&id).await);
        assert_ne!((&one["nonce"], &one["code_challenge"]), (&two["nonce"], &two["code_challenge"]));
        for query in [one, two] {
            let code = provider.allow(&query, ada());
            assert_eq!(browser.come_back(&query["state"], &code).await.location.as_deref(), Some("/knowledge/"));
        }
        let answer = browser.get("/api/v1/auth/sso/callback?state=a&state=b").await;
        assert_eq!(answer.status, 302);
    }

    async fn the_provider_may_refuse_and_only_the_right_one_is_heard(test: TestStore) {
        let world = World::new(test.store()).await;
        let (provider, plasma) = (Provider::start(&world).await, Plasma::start(&world).await);
        provider.shape().discovery = json!({"authorization_response_iss_parameter_supported": true});
        let id = connect(&world, &provider).await.id.to_string();
        let issuer = &provider.issuer;
        for (answer, problem) in [
            ("&error=access_denied".to_owned(), "sso_issuer_mismatch"),
            (format!("&error=access_denied&iss={issuer}"), "sso_provider_refused"),
            ("&code=x&iss=https://evil.example".to_owned(), "sso_issuer_mismatch"),
            (format!("&iss={issuer}"), "sso_code_missing"),
            (format!("&code=unknown&iss={issuer}"), "sso_code_refused"),
        ] {
            let mut browser = plasma.browser();
            let query = browser.begin(&id).await;
            let came = browser.get(&format!("/api/v1/auth/sso/callback?state={}{answer}", query["state"])).await;
            assert_eq!(came.problem().as_deref(), Some(problem), "{answer}");
        }
        let unknown = plasma.browser().get("/api/v1/auth/sso/conn_00000000000000000000000000/start").await;
        assert_eq!(unknown.problem().as_deref(), Some("connection_not_found"));
    }

    async fn only_an_owner_makes_owners_and_the_last_one_stays(test: TestStore) {
        let world = World::new(test.store()).await;
        let (provider, plasma) = (Provider::start(&world).await, Plasma::start(&world).await);
        let connection = connect(&world, &provider).await;
        let id = connection.id.to_string();
        let rules = |role| ConnectionChange {
            rules: Some(vec![rule("groups", "chiefs", Some(role), None), rule("groups", "all", Some(Role::Viewer), None)]),
            ..ConnectionChange::default()
        };
        // Somebody who may change connections, by a role of the workspace's own, and is no owner.
        world.add("eve", Role::Admin).await;
        let eve = world.enter("eve").await.1;
        let eve = eve.with_permissions(Role::Owner.permissions());
        let refused = world.identity.update_connection(&eve, connection.id, rules(Role::Owner)).await;
        assert_eq!(reason(refused), "forbidden");
        let default = ConnectionChange { default_role: Some(Some(Role::Owner)), ..ConnectionChange::default() };
        assert_eq!(reason(world.identity.update_connection(&world.owner, connection.id, default).await), "invalid");

        world.identity.update_connection(&world.owner, connection.id, rules(Role::Owner)).await.unwrap();
        // The rule keeps its maker when somebody else changes another.
        let same = world.identity.update_connection(&eve, connection.id, rules(Role::Owner)).await.unwrap();
        assert_eq!(same.rules.len(), 2);
        plasma.browser().login(&provider, &id, with(ada(), "groups", json!(["chiefs"]))).await;
        let ada_now = user(&world, "ada@example.org").await.unwrap();
        assert_eq!(ada_now.role, Role::Owner);

        // Not by the default, and not when nobody would be left.
        plasma.browser().login(&provider, &id, ada()).await;
        assert_eq!(user(&world, "ada@example.org").await.unwrap().role, Role::Owner);
        let ada_ctx = {
            let mut browser = plasma.browser();
            browser.login(&provider, &id, with(ada(), "groups", json!(["chiefs"]))).await;
            let token = browser.session().unwrap().to_owned();
            world.identity.authenticate(&token).await.unwrap().ctx
        };
        // An operator is changed by operators only, so the other owner loses the role by their own hand.
        let demoted = UserChange { role: Some(Role::Editor), ..UserChange::default() };
        world.identity.update_user(&world.owner, world.owner_id(), demoted).await.unwrap();
        plasma.browser().login(&provider, &id, with(ada(), "groups", json!(["all"]))).await;
        let users = world.identity.users(&ada_ctx, &page()).await.unwrap().data;
        assert_eq!(users.iter().find(|user| user.email == "ada@example.org").unwrap().role, Role::Owner);
    }

    async fn who_has_no_role_or_may_not_come_stays_outside(test: TestStore) {
        let world = World::new(test.store()).await;
        let (provider, plasma) = (Provider::start(&world).await, Plasma::start(&world).await);
        let mut new = new_connection(&provider);
        new.default_role = None;
        new.rules = vec![rule("groups", "writers", Some(Role::Editor), None)];
        new.required_claims = vec![plasma_identity::RequiredClaim { claim: "org".to_owned(), value: "acme".to_owned() }];
        let connection = world.identity.create_connection(&world.owner, new).await.unwrap();
        let id = connection.id.to_string();
        let of_acme = with(ada(), "org", json!("acme"));
        let problem = async |claims: Value| plasma.browser().login(&provider, &id, claims).await.problem();
        assert_eq!(problem(ada()).await.as_deref(), Some("sso_claim_missing"));
        assert_eq!(problem(of_acme.clone()).await.as_deref(), Some("sso_no_role"));
        assert_eq!(user(&world, "ada@example.org").await, None);
        let writer = with(of_acme, "groups", json!(["writers"]));
        let closed = ConnectionChange { creates_users: Some(false), ..ConnectionChange::default() };
        world.identity.update_connection(&world.owner, connection.id, closed).await.unwrap();
        assert_eq!(problem(writer.clone()).await.as_deref(), Some("sso_no_account"));
        let open = ConnectionChange { creates_users: Some(true), ..ConnectionChange::default() };
        world.identity.update_connection(&world.owner, connection.id, open).await.unwrap();
        assert_eq!(problem(writer.clone()).await, None);
        let ada = user(&world, "ada@example.org").await.unwrap();
        let disable = UserChange { disabled: Some(true), ..UserChange::default() };
        world.identity.update_user(&world.owner, ada.id, disable).await.unwrap();
        assert_eq!(problem(writer.clone()).await.as_deref(), Some("user_disabled"));
        let disabled = ConnectionChange { enabled: Some(false), ..ConnectionChange::default() };
        world.identity.update_connection(&world.owner, connection.id, disabled).await.unwrap();
        let start = plasma.browser().get(&format!("/api/v1/auth/sso/{id}/start")).await;
        assert_eq!(start.problem().as_deref(), Some("connection_not_found"));
    }

    async fn a_domain_is_one_tenants_only(test: TestStore) {
        let world = World::new(test.store()).await;
        let (provider, plasma) = (Provider::start(&world).await, Plasma::start(&world).await);
        let other = second_tenant(&world).await;
        // The other workspace claims the domain first. Its owner is no operator: that gives it nothing.
        let theirs = world.identity.create_connection(&other, new_connection(&provider)).await.unwrap();
        assert_eq!(theirs.domains[0].state, DomainState::Pending);
        let claims = json!({"sub": "x", "email": "new@example.org", "email_verified": true});
        let answer = plasma.browser().login(&provider, &theirs.id.to_string(), claims).await;
        assert_eq!(answer.problem().as_deref(), Some("sso_domain_foreign"));
        let offer = |email: &'static str| {
            let (identity, system) = (world.identity.clone(), world.system());
            async move { identity.single_sign_on_offer(&system, email).await.unwrap() }
        };
        assert!(offer("x@example.org").await.connections.is_empty());

        let ours = connect(&world, &provider).await;
        assert_eq!(ours.domains[0].state, DomainState::Verified);
        assert_eq!(offer("X@Example.ORG").await.connections[0].id, ours.id);
        let theirs_now = world.identity.connection(&other, theirs.id).await.unwrap();
        assert_eq!(theirs_now.domains[0].state, DomainState::Taken);
        assert_eq!(reason(world.identity.domains(&other, &page()).await), "forbidden");

        // An operator may decide otherwise.
        let tenant = other.tenant().unwrap();
        world.identity.assign_domain(&world.owner, "example.org", tenant).await.unwrap();
        assert_eq!(offer("x@example.org").await.connections[0].id, theirs.id);
        let claimed = world.identity.domains(&world.owner, &page()).await.unwrap().data;
        assert_eq!(claimed.iter().filter(|claim| claim.verified_at.is_some()).count(), 1);
        assert_eq!(claimed.len(), 2);
        world.identity.release_domain(&world.owner, "example.org").await.unwrap();
        assert!(offer("x@example.org").await.connections.is_empty());
        assert_eq!(reason(world.identity.release_domain(&world.owner, "example.org").await), "domain_not_found");
        let unclaimed = world.identity.assign_domain(&world.owner, "unclaimed.example", tenant).await;
        assert_eq!(reason(unclaimed), "domain_not_claimed");
    }

    async fn people_link_and_unlink_their_own_accounts(test: TestStore) {
        let world = World::new(test.store()).await;
        let (provider, plasma) = (Provider::start(&world).await, Plasma::start(&world).await);
        let id = connect(&world, &provider).await.id.to_string();
        world.add("bea", Role::Editor).await;
        let mut browser = plasma.browser();
        browser.cookies.insert("plasma_session".to_owned(), world.enter("bea").await.0);
        let link = async |browser: &mut crate::oidc::Browser<'_>, claims: Value| {
            let answer = browser.send("POST", "/api/v1/me/linked-accounts", Some(json!({"connection": id}))).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            let url = url::Url::parse(answer.body["url"].as_str().unwrap()).unwrap();
            let query = url.query_pairs().into_owned().collect();
            let code = provider.allow(&query, claims);
            browser.come_back(&query["state"], &code).await
        };
        // Unverified, and of another domain: the person sits here, logged in.
        let private = json!({"sub": "private", "email": "bea@home.example"});
        let answer = link(&mut browser, private.clone()).await;
        assert_eq!(answer.location.unwrap(), format!("/settings/security/?linked={id}"));
        let accounts = browser.get("/api/v1/me/linked-accounts").await.body;
        assert_eq!((&accounts["data"][0]["linked"], &accounts["data"][0]["email"]), (&json!(true), &json!("bea@home.example")));
        let mut other = plasma.browser();
        other.login(&provider, &id, private.clone()).await;
        assert_eq!(other.get("/api/v1/me").await.body["user"]["email"], "bea@example.org");

        // It is nobody else's.
        world.add("cem", Role::Editor).await;
        let mut cem = plasma.browser();
        cem.cookies.insert("plasma_session".to_owned(), world.enter("cem").await.0);
        let answer = link(&mut cem, private.clone()).await;
        assert_eq!(answer.problem().as_deref(), Some("sso_account_taken"));
        assert!(answer.location.unwrap().starts_with("/settings/security/?"));

        let path = format!("/api/v1/me/linked-accounts/{id}");
        assert_eq!(browser.send("DELETE", &path, None).await.status, 204);
        assert_eq!(browser.send("DELETE", &path, None).await.status, 404);
        // What began with the account has ended, what began with the password has not.
        assert_eq!((other.get("/api/v1/me").await.status, browser.get("/api/v1/me").await.status), (401, 200));
        let answer = plasma.browser().login(&provider, &id, private).await;
        assert_eq!(answer.problem().as_deref(), Some("sso_email_unverified"));
    }

    async fn logging_out_at_the_provider_ends_the_right_sessions(test: TestStore) {
        let world = World::new(test.store()).await;
        let (provider, plasma) = (Provider::start(&world).await, Plasma::start(&world).await);
        let id = connect(&world, &provider).await.id.to_string();
        let path = format!("/api/v1/auth/sso/{id}/backchannel-logout");
        let (mut first, mut second, mut bea) = (plasma.browser(), plasma.browser(), plasma.browser());
        first.login(&provider, &id, ada()).await;
        second.login(&provider, &id, with(ada(), "sid", json!("s2"))).await;
        bea.login(&provider, &id, json!({"sub": "bea-1", "email": "bea@example.org", "email_verified": true, "sid": "s3"})).await;
        let id_token = {
            let mut token = provider.logout_token(json!({"sub": "ada-1"}));
            token.header["typ"] = json!("JWT");
            token.claims.as_object_mut().unwrap().remove("events");
            token.claims["nonce"] = json!("n");
            token.signed()
        };
        let unsigned = {
            let mut token = provider.logout_token(json!({"sid": "s1"}));
            (token.header["alg"], token.signer) = (json!("none"), crate::oidc::Signer::Nobody);
            token.signed()
        };
        let shared = {
            let mut token = provider.logout_token(json!({"sid": "s1"}));
            (token.header["alg"], token.signer) = (json!("HS256"), crate::oidc::Signer::Hmac(SECRET.as_bytes().to_vec()));
            token.signed()
        };
        for refused in [id_token.as_str(), &unsigned, &shared, "nonsense", ""] {
            assert_eq!(plasma.post_form(&path, &[("logout_token", refused)]).await, 400, "{refused}");
        }
        assert_eq!(plasma.post_form(&path, &[("other", "x")]).await, 400);
        assert_eq!(first.get("/api/v1/me").await.status, 200);

        let token = provider.logout_token(json!({"sid": "s1"})).signed();
        assert_eq!(plasma.post_form(&path, &[("logout_token", &token)]).await, 200);
        assert_eq!((first.get("/api/v1/me").await.status, second.get("/api/v1/me").await.status), (401, 200));
        // The same token says nothing twice.
        assert_eq!(plasma.post_form(&path, &[("logout_token", &token)]).await, 400);
        let all = provider.logout_token(json!({"sub": "ada-1", "jti": "two"})).signed();
        assert_eq!(plasma.post_form(&path, &[("logout_token", &all)]).await, 200);
        assert_eq!((second.get("/api/v1/me").await.status, bea.get("/api/v1/me").await.status), (401, 200));
    }

    async fn logging_out_here_names_the_way_to_log_out_there(test: TestStore) {
        let world = World::new(test.store()).await;
        let (provider, plasma) = (Provider::start(&world).await, Plasma::start(&world).await);
        let id = connect(&world, &provider).await.id.to_string();
        let mut browser = plasma.browser();
        browser.login(&provider, &id, ada()).await;
        let answer = browser.send("POST", "/api/v1/auth/sso/logout", None).await;
        let url = url::Url::parse(answer.body["url"].as_str().unwrap()).unwrap();
        assert!(url.as_str().starts_with(&format!("{}/logout?", provider.issuer)));
        let query: std::collections::BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        assert_eq!(query["client_id"], CLIENT);
        assert_eq!(query["id_token_hint"].split('.').count(), 3);
        assert_eq!(query["post_logout_redirect_uri"], format!("{}/login/", plasma.url));
        assert_eq!(browser.session(), None);
        // With a password there is no provider.
        world.add("cem", Role::Editor).await;
        let mut cem = plasma.browser();
        cem.cookies.insert("plasma_session".to_owned(), world.enter("cem").await.0);
        assert_eq!(cem.send("POST", "/api/v1/auth/sso/logout", None).await.body, json!({"url": null}));
    }

    async fn enforcing_needs_a_proven_connection_and_somebody_for_emergencies(test: TestStore) {
        let world = World::new(test.store()).await;
        let (provider, plasma) = (Provider::start(&world).await, Plasma::start(&world).await);
        let connection = connect(&world, &provider).await;
        world.add("bea", Role::Editor).await;
        let enforce = |break_glass| world.identity.set_single_sign_on(&world.owner, SingleSignOn { enforced: true, break_glass });
        assert_eq!(reason(enforce(Vec::new()).await), "invalid");
        // The owner has no second factor yet.
        assert_eq!(reason(enforce(vec![world.owner_id()]).await), "break_glass_without_factor");
        let bea = user(&world, "bea@example.org").await.unwrap();
        assert_eq!(reason(enforce(vec![bea.id]).await), "invalid");
        plasma.browser().login(&provider, &connection.id.to_string(), ada()).await;
        let settings = world.identity.single_sign_on(&world.owner).await.unwrap();
        assert_eq!(settings, SingleSignOn::default());
    }

    async fn secrets_stay_secret(test: TestStore) {
        let world = World::new(test.store()).await;
        let (provider, plasma) = (Provider::start(&world).await, Plasma::start(&world).await);
        let connection = connect(&world, &provider).await;
        let mut browser = plasma.browser();
        let query = browser.begin(&connection.id.to_string()).await;
        let mut stored = world.everything_stored().await;
        {
            let mut tx = world.store.read(&world.system()).await.unwrap();
            for row in tx.fetch_all("SELECT * FROM sso_logins", []).await.unwrap() {
                stored.push_str(&row.get::<String>("redirect_uri").unwrap());
                stored.push_str(&String::from_utf8_lossy(&row.get::<Vec<u8>>("state_hash").unwrap()));
                stored.push_str(&String::from_utf8_lossy(&row.get::<Vec<u8>>("browser_hash").unwrap()));
            }
            for row in tx.fetch_all("SELECT * FROM sso_connections", []).await.unwrap() {
                stored.push_str(&String::from_utf8_lossy(&row.get::<Vec<u8>>("client_secret_sealed").unwrap()));
            }
        }
        for secret in [SECRET, &query["state"], &query["nonce"], &browser.cookies["plasma_sso"]] {
            assert!(!stored.contains(secret), "{secret}");
        }
        let shown = plasma.browser().get("/api/v1/connections").await;
        assert_eq!(shown.status, 401);
        // Another issuer must not get the secret that was made for this one.
        let moved = ConnectionChange { issuer: Some("https://evil.example".to_owned()), ..ConnectionChange::default() };
        assert_eq!(reason(world.identity.update_connection(&world.owner, connection.id, moved).await), "invalid");
    }
}
