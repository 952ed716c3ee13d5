//! ID tokens, and the keys that sign them.

use std::time::Duration;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use plasma_identity::oauth::{Jwk, TokenAnswer};
use plasma_kernel::{Authentication, Method, Methods, Role, SessionId};
use plasma_testkit::on_each_database;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{ISSUER, authorized, confidential, ctx_of, refresh, refresh_token};
use crate::support::{DAY, World, reason};

fn decoded(part: &str) -> Value {
    serde_json::from_slice(&BASE64URL.decode(part).unwrap()).unwrap()
}

/// The claims, if one of the keys has signed them.
fn verified(token: &str, keys: &[Jwk]) -> Option<Value> {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let header = decoded(header);
    assert_eq!((&header["alg"], &header["typ"]), (&json!("ES256"), &json!("JWT")));
    let key = keys.iter().find(|key| header["kid"] == key.kid.as_str())?;
    let point = [vec![4], BASE64URL.decode(&key.x).unwrap(), BASE64URL.decode(&key.y).unwrap()].concat();
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
    public.verify(signed.as_bytes(), &BASE64URL.decode(signature).unwrap()).ok()?;
    Some(decoded(claims))
}

fn id_token(answer: &TokenAnswer) -> &str {
    answer.id_token.as_deref().unwrap()
}

fn signer(answer: &TokenAnswer) -> String {
    decoded(id_token(answer).split('.').next().unwrap())["kid"].as_str().unwrap().to_owned()
}

on_each_database! {
    async fn an_id_token_says_who_when_and_for_whom(test: TestStore) {
        let world = World::new(test.store()).await;
        let ada = world.add("ada", Role::Editor).await;
        let (_, person) = world.enter("ada").await;
        let at = person.now() - 90_000_000;
        let methods: Methods = [Method::Password, Method::Totp].into_iter().collect();
        let person = person.clone().with_authentication(Authentication { session: SessionId::new(&person), at, methods });
        let app = confidential(&world).await;
        let scope = "openid profile email offline_access content:read";
        let answer = authorized(&world, &person, &app, scope).await;
        let keys = world.identity.jwks(&world.system()).await.unwrap();
        assert_eq!(keys.len(), 1);
        let claims = verified(id_token(&answer), &keys).unwrap();
        let now = world.clock.now() / 1_000_000;
        let half = BASE64URL.encode(&Sha256::digest(answer.access_token.expose().as_bytes())[..16]);
        assert_eq!(
            claims,
            json!({
                "iss": ISSUER, "sub": ada.id, "aud": app.application.id, "iat": now, "exp": now + 3_600, "auth_time": now - 90,
                "amr": ["pwd", "otp"], "nonce": "a nonce", "at_hash": half, "tenant": person.tenant().unwrap(), "name": "ada",
                "email": "ada@example.org"
            })
        );
        let info = world.identity.userinfo(&ctx_of(&world, &answer).await, answer.access_token.expose()).await.unwrap();
        assert_eq!((info.user, info.name.as_deref(), info.email.as_deref()), (ada.id, Some("ada"), Some("ada@example.org")));
        // The next one has no nonce, and says the same of the login.
        world.clock.advance(Duration::from_secs(60));
        let next = refresh(&world, &app, refresh_token(&answer)).await.unwrap();
        let claims = verified(id_token(&next), &keys).unwrap();
        assert_eq!((&claims["nonce"], &claims["auth_time"], &claims["iat"]), (&Value::Null, &json!(now - 90), &json!(now + 60)));
        // A changed token is no longer signed.
        let parts: Vec<&str> = id_token(&answer).split('.').collect();
        assert!(verified(&[parts[0], "e30", parts[2]].join("."), &keys).is_none());
    }

    async fn scopes_decide_what_is_told(test: TestStore) {
        let world = World::new(test.store()).await;
        let app = confidential(&world).await;
        let keys = world.identity.jwks(&world.system()).await.unwrap();
        let answer = authorized(&world, &world.owner, &app, "openid").await;
        let claims = verified(id_token(&answer), &keys).unwrap();
        assert_eq!((&claims["name"], &claims["email"]), (&Value::Null, &Value::Null));
        let info = world.identity.userinfo(&ctx_of(&world, &answer).await, answer.access_token.expose()).await.unwrap();
        assert_eq!((info.name, info.email), (None, None));
        let answer = authorized(&world, &world.owner, &app, "content:read").await;
        let ctx = ctx_of(&world, &answer).await;
        let asked = world.identity.userinfo(&ctx, answer.access_token.expose()).await;
        assert_eq!(reason(asked), "insufficient_scope");
        // A session is no application's token.
        assert_eq!(reason(world.identity.userinfo(&world.owner, "pls_x").await), "insufficient_scope");
    }

    async fn keys_are_renewed_with_an_overlap(test: TestStore) {
        let world = World::new(test.store()).await;
        let app = confidential(&world).await;
        let sign = async || authorized(&world, &world.owner, &app, "openid").await;
        let keys = async || world.identity.jwks(&world.system()).await.unwrap();
        let first = sign().await;
        world.clock.advance(DAY * 89);
        world.identity.maintain_oauth(&world.system()).await.unwrap();
        assert_eq!(keys().await.len(), 1);
        world.clock.advance(DAY);
        world.identity.maintain_oauth(&world.system()).await.unwrap();
        world.identity.maintain_oauth(&world.system()).await.unwrap();
        // The new key is shown before it signs.
        assert_eq!(keys().await.len(), 2);
        let still = sign().await;
        assert_eq!(signer(&still), signer(&first));
        world.clock.advance(Duration::from_secs(3_600));
        let second = sign().await;
        assert_ne!(signer(&second), signer(&first));
        // And the old one after it has signed last.
        let shown = keys().await;
        for answer in [&still, &second] {
            assert!(verified(id_token(answer), &shown).is_some());
        }
        world.clock.advance(DAY * 8);
        world.identity.maintain_oauth(&world.system()).await.unwrap();
        let shown = keys().await;
        assert_eq!(shown.len(), 1);
        assert!(verified(id_token(&second), &shown).is_some() && verified(id_token(&still), &shown).is_none());
        // Another process knows the same keys.
        let other = world.other_process(test.open_again().await);
        assert_eq!(other.jwks(&world.system()).await.unwrap(), shown);
    }

    async fn a_stolen_key_is_replaced_at_once(test: TestStore) {
        let world = World::new(test.store()).await;
        let app = confidential(&world).await;
        let stolen = authorized(&world, &world.owner, &app, "openid").await;
        world.add("ada", Role::Owner).await;
        let (_, ada) = world.enter("ada").await;
        assert_eq!(reason(world.identity.rotate_signing_keys(&ada, true).await), "forbidden");
        let key = world.identity.rotate_signing_keys(&world.owner, true).await.unwrap();
        assert_eq!(key.signs_from, world.clock.now());
        let keys = world.identity.jwks(&world.system()).await.unwrap();
        assert_eq!(keys.iter().map(|key| key.kid.as_str()).collect::<Vec<_>>(), [key.id.as_str()]);
        assert!(verified(id_token(&stolen), &keys).is_none());
        let next = authorized(&world, &world.owner, &app, "openid").await;
        assert!(verified(id_token(&next), &keys).is_some());
        assert_eq!(world.count_events(&world.owner, "identity.signing_key.created", &key.id).await, 1);
        // In the ordinary way the others stay.
        let later = world.identity.rotate_signing_keys(&world.owner, false).await.unwrap();
        assert_eq!(later.signs_from, world.clock.now() + 3_600 * 1_000_000);
        assert_eq!(world.identity.jwks(&world.system()).await.unwrap().len(), 2);
    }

    async fn many_first_tokens_at_once_make_one_key(test: TestStore) {
        let world = World::new(test.store()).await;
        let other = world.other_process(test.open_again().await);
        let (one, two) = (world.identity.clone(), other.clone());
        let (first, second) = (world.system(), world.system());
        let made = tokio::join!(
            async { one.jwks(&first).await.unwrap() },
            async { two.jwks(&second).await.unwrap() },
            async { world.identity.jwks(&first).await.unwrap() },
        );
        assert!(made.0 == made.1 && made.1 == made.2, "{made:?}");
        assert_eq!(made.0.len(), 1);
    }
}
