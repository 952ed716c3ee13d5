//! Tokens and providers that lie.

use plasma_identity::{ConnectionChange, NewConnection};
use plasma_testkit::on_each_database;
use serde_json::{Value, json};

use crate::{
    oidc::{Key, Plasma, Provider, SECRET, Signer, Token},
    sso::{ada, connect, new_connection, with},
    support::World,
};

type Lie = (&'static str, Box<dyn Fn(&mut Token) + Send + Sync>);

fn lie(name: &'static str, change: impl Fn(&mut Token) + Send + Sync + 'static) -> Lie {
    (name, Box::new(change))
}

fn claim(name: &'static str, value: Value) -> Lie {
    lie(name, move |token| token.claims[name] = value.clone())
}

/// Every way in which a token can be wrong, for a provider with this first key.
fn lies(now: i64, key: &Key) -> Vec<Lie> {
    let public = key.public();
    let public_bytes = public["x"].as_str().unwrap().as_bytes().to_vec();
    vec![
        claim("iss", json!("https://evil.example")),
        claim("iss", Value::Null),
        claim("aud", json!("another application")),
        claim("aud", json!([])),
        claim("aud", json!(["plasma", "another application"])),
        claim("azp", json!("another application")),
        claim("exp", json!(now - 100)),
        claim("iat", json!(now + 1_000)),
        claim("nonce", json!("another nonce")),
        claim("at_hash", json!("AAAAAAAAAAAAAAAAAAAAAA")),
        claim("sub", json!("")),
        claim("sub", json!("x".repeat(300))),
        lie("no nonce", |token| drop(token.claims.as_object_mut().unwrap().remove("nonce"))),
        lie("no expiry", |token| drop(token.claims.as_object_mut().unwrap().remove("exp"))),
        lie("no signature", |token| {
            (token.header["alg"], token.signer) = (json!("none"), Signer::Nobody);
        }),
        lie("an empty signature", |token| token.signer = Signer::Nobody),
        lie("the client's secret as key", |token| {
            (token.header["alg"], token.signer) = (json!("HS256"), Signer::Hmac(SECRET.as_bytes().to_vec()));
        }),
        lie("the public key as a shared one", move |token| {
            (token.header["alg"], token.signer) = (json!("HS256"), Signer::Hmac(public_bytes.clone()));
        }),
        lie("somebody else's key under the right name", |token| token.signer = Signer::Key(Key::new("first", 99))),
        lie("a key that nobody has published", |token| {
            (token.header["kid"], token.signer) = (json!("unknown"), Signer::Key(Key::new("unknown", 99)));
        }),
        lie("another algorithm than the key's", |token| token.header["alg"] = json!("ES256")),
        lie("an access token", |token| token.header["typ"] = json!("at+jwt")),
        lie("a logout token", |token| token.header["typ"] = json!("logout+jwt")),
        lie("critical headers", |token| token.header["crit"] = json!(["b64"])),
        lie("a key of its own", {
            let evil = Key::new("evil", 66);
            move |token| {
                token.header["jwk"] = evil.public();
                (token.header["kid"], token.signer) = (json!("evil"), Signer::Key(evil.clone()));
            }
        }),
    ]
}

on_each_database! {
    async fn no_lie_is_believed(test: TestStore) {
        let world = World::new(test.store()).await;
        let (provider, plasma) = (Provider::start(&world).await, Plasma::start(&world).await);
        let id = connect(&world, &provider).await.id.to_string();
        for (name, change) in lies(provider.now(), &Key::new("first", 1)) {
            provider.lies(change);
            let mut browser = plasma.browser();
            let answer = browser.login(&provider, &id, ada()).await;
            let problem = answer.problem();
            assert!(matches!(problem.as_deref(), Some("sso_token_refused" | "provider_unusable")), "{name}: {problem:?}");
            assert_eq!(browser.session(), None, "{name}");
        }
        provider.is_honest();
        let mut browser = plasma.browser();
        assert_eq!(browser.login(&provider, &id, ada()).await.problem(), None);
        // What is within the clocks' difference is no lie.
        let now = provider.now();
        provider.lies(move |token| {
            (token.claims["exp"], token.claims["iat"]) = (json!(now - 30), json!(now + 30));
        });
        assert_eq!(plasma.browser().login(&provider, &id, ada()).await.problem(), None);
    }

    async fn keys_may_change_but_not_be_asked_for_without_end(test: TestStore) {
        let world = World::new(test.store()).await;
        let (provider, plasma) = (Provider::start(&world).await, Plasma::start(&world).await);
        let id = connect(&world, &provider).await.id.to_string();
        plasma.browser().login(&provider, &id, ada()).await;
        plasma.browser().login(&provider, &id, ada()).await;
        assert_eq!(provider.keys_asked(), 1, "keys are kept");
        {
            let mut shape = provider.shape();
            let second = Key::new("second", 2);
            shape.published.push(second.clone());
            shape.signs_with = second;
        }
        assert_eq!(plasma.browser().login(&provider, &id, ada()).await.problem(), None);
        assert_eq!(provider.keys_asked(), 2, "an unknown key has them asked for again");
        // Whoever signs with keys of their own does not make Plasma ask again and again.
        let unknown = |token: &mut Token| {
            (token.header["kid"], token.signer) = (json!("third"), Signer::Key(Key::new("third", 3)));
        };
        provider.lies(unknown);
        for _ in 0..10 {
            let answer = plasma.browser().login(&provider, &id, ada()).await;
            assert_eq!(answer.problem().as_deref(), Some("sso_token_refused"));
        }
        assert!(provider.keys_asked() <= 4, "{} times", provider.keys_asked());
        // Logout tokens have their own tries, and use up none of the logins'.
        let asked = provider.keys_asked();
        for number in 0..10 {
            let mut token = provider.logout_token(json!({"sub": "ada-1", "jti": format!("{number}")}));
            unknown(&mut token);
            let path = format!("/api/v1/auth/sso/{id}/backchannel-logout");
            assert_eq!(plasma.post_form(&path, &[("logout_token", &token.signed())]).await, 400);
        }
        assert!(provider.keys_asked() <= asked + 3, "{} times", provider.keys_asked());
    }

    async fn what_a_provider_tells_elsewhere_is_about_the_same_person(test: TestStore) {
        let world = World::new(test.store()).await;
        let (provider, plasma) = (Provider::start(&world).await, Plasma::start(&world).await);
        let id = connect(&world, &provider).await.id.to_string();
        // The token names only the subject, as at providers that keep to the letter of the standard.
        provider.shape().userinfo = json!({"email": "ada@example.org", "email_verified": true, "name": "Ada"});
        let mut browser = plasma.browser();
        assert_eq!(browser.login(&provider, &id, json!({"sub": "ada-1"})).await.problem(), None);
        assert_eq!(browser.get("/api/v1/me").await.body["user"]["name"], "Ada");
        provider.shape().userinfo = json!({"sub": "somebody else", "email": "ada@example.org", "email_verified": true});
        let answer = plasma.browser().login(&provider, &id, json!({"sub": "eve-1"})).await;
        assert_eq!(answer.problem().as_deref(), Some("sso_token_refused"));
        // The token counts more than what is told elsewhere.
        provider.shape().userinfo = json!({"email_verified": true, "name": "Eve"});
        let claims = with(json!({"sub": "eve-1", "email": "eve@example.org"}), "email_verified", json!(false));
        let answer = plasma.browser().login(&provider, &id, claims).await;
        assert_eq!(answer.problem().as_deref(), Some("sso_email_unverified"));
    }

    async fn a_code_without_its_verifier_is_worth_nothing(test: TestStore) {
        let world = World::new(test.store()).await;
        let (provider, plasma) = (Provider::start(&world).await, Plasma::start(&world).await);
        let id = connect(&world, &provider).await.id.to_string();
        let (mut ada_browser, mut eve_browser) = (plasma.browser(), plasma.browser());
        let (hers, eves) = (ada_browser.begin(&id).await, eve_browser.begin(&id).await);
        // Eve has caught Ada's code and injects it into her own login.
        let code = provider.allow(&hers, ada());
        let answer = eve_browser.come_back(&eves["state"], &code).await;
        assert_eq!(answer.problem().as_deref(), Some("sso_code_refused"));
        assert_eq!(eve_browser.session(), None);
    }

    async fn a_test_says_in_words_what_is_wrong(test: TestStore) {
        let world = World::new(test.store()).await;
        let (provider, plasma) = (Provider::start(&world).await, Plasma::start(&world).await);
        let connection = connect(&world, &provider).await;
        let mut owner = plasma.browser();
        owner.cookies.insert("plasma_session".to_owned(), world.enter("owner").await.0);
        let path = format!("/api/v1/connections/{}/test", connection.id);
        let fine = owner.send("POST", &path, None).await.body;
        assert_eq!(fine["ok"], true, "{fine}");
        let failures = |body: &Value| -> Vec<(String, String)> {
            let checks = body["checks"].as_array().unwrap().iter().filter(|check| check["state"] == "failed");
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            checks.map(|check| (text(&check["name"]), text(&check["detail"]))).collect()
        };
        for (discovery, name, words) in [
            (json!({"issuer": "https://evil.example"}), "issuer", "https://evil.example"),
            (json!({"issuer": format!("{}/", provider.issuer)}), "issuer", "calls itself"),
            (json!({"token_endpoint": null}), "endpoints", "token_endpoint"),
            (json!({"jwks_uri": "http://10.0.0.1/keys"}), "endpoints", "https"),
            (json!({"jwks_uri": format!("{}/nowhere", provider.issuer)}), "keys", "404"),
            (json!({"jwks_uri": format!("{}/.well-known/openid-configuration", provider.issuer)}), "keys", "cannot be read"),
            (json!({"id_token_signing_alg_values_supported": ["HS256"]}), "signatures", "no algorithm"),
            (json!({"response_types_supported": ["id_token"]}), "flow", "authorization code"),
        ] {
            provider.shape().discovery = discovery.clone();
            let body = owner.send("POST", &path, None).await.body;
            let found = failures(&body);
            let is_named = found.iter().any(|(failed, detail)| failed == name && detail.contains(words));
            assert!(is_named && body["ok"] == false, "{discovery}: {found:?}");
        }
        provider.shape().discovery = json!({});
        let wrong = ConnectionChange { client_id: Some("nobody".to_owned()), ..ConnectionChange::default() };
        world.identity.update_connection(&world.owner, connection.id, wrong).await.unwrap();
        let found = failures(&owner.send("POST", &path, None).await.body);
        assert!(found.iter().any(|(name, detail)| name == "client" && detail.contains("invalid_client")), "{found:?}");

        let nowhere = NewConnection { issuer: Some("http://127.0.0.1:9".to_owned()), domains: Vec::new(), ..new_connection(&provider) };
        let nowhere = world.identity.create_connection(&world.owner, nowhere).await.unwrap();
        let body = owner.send("POST", &format!("/api/v1/connections/{}/test", nowhere.id), None).await.body;
        assert_eq!(failures(&body)[0].0, "discovery", "{body}");
        let start = plasma.browser().get(&format!("/api/v1/auth/sso/{}/start", nowhere.id)).await;
        assert_eq!(start.problem().as_deref(), Some("outbound_failed"));
    }

    async fn a_provider_is_no_way_into_the_servers_own_network(test: TestStore) {
        let world = World::new(test.store()).await;
        let (provider, plasma) = (Provider::start(&world).await, Plasma::start(&world).await);
        for issuer in ["https://10.0.0.1", "https://169.254.169.254", "https://[::1]:4000", "https://login.example.org:25"] {
            let inside = NewConnection { issuer: Some(issuer.to_owned()), domains: Vec::new(), ..new_connection(&provider) };
            let error = world.identity.create_connection(&world.owner, inside).await.unwrap_err();
            assert_eq!((error.reason(), error.field_name()), ("outbound_address_refused", Some("issuer")), "{issuer}");
        }
        // What a provider says of itself is called no more than what an owner says.
        let connection = connect(&world, &provider).await;
        let inside = ConnectionChange { issuer: Some("https://192.168.0.1".to_owned()), ..ConnectionChange::default() };
        let error = world.identity.update_connection(&world.owner, connection.id, inside).await.unwrap_err();
        assert_eq!(error.reason(), "outbound_address_refused");
        provider.shape().discovery = json!({"token_endpoint": "https://10.0.0.1/token"});
        let back = plasma.browser().login(&provider, &connection.id.to_string(), ada()).await;
        assert_eq!(back.problem().as_deref(), Some("outbound_address_refused"));
    }

    async fn a_provider_may_neither_redirect_nor_talk_without_end(test: TestStore) {
        let world = World::new(test.store()).await;
        let (provider, plasma) = (Provider::start(&world).await, Plasma::start(&world).await);
        provider.shape().discovery = json!({"padding": "x".repeat(600_000)});
        let connection = connect(&world, &provider).await;
        let start = plasma.browser().get(&format!("/api/v1/auth/sso/{}/start", connection.id)).await;
        assert_eq!(start.problem().as_deref(), Some("provider_unusable"));
    }
}
