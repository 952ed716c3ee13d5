//! The steps of a login over a real socket, and that no answer tells whether an e-mail is known.

use plasma_kernel::Role;
use plasma_testkit::on_each_database;
use serde_json::{Value, json};

use crate::{
    authenticator::code,
    http::{Answer, Client},
    mail::{mails, settled, start_workers, token_in},
    second_factors::set_up_totp,
    support::{OWNER, PASSWORD, World},
};

const UNKNOWN: &str = "nobody@example.org";

/// All that somebody outside sees of an answer, without what differs each time.
fn seen(answer: &Answer) -> (u16, Value, Vec<String>) {
    let mut headers: Vec<String> = answer
        .head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| match name {
            "date" => name.to_owned(),
            // The value is random.
            "set-cookie" => format!("{name}: {} {}", value.len(), value.split(';').skip(1).collect::<String>()),
            _ => format!("{name}: {value}"),
        })
        .collect();
    headers.sort();
    (answer.status, answer.body.clone(), headers)
}

fn cookie_of(answer: &Answer) -> String {
    answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

on_each_database! {
    async fn no_answer_tells_whether_an_email_is_known(test: TestStore) {
        let world = World::new(test.store()).await;
        let client = Client::new(&world).await;
        for (path, body) in [
            ("/api/v1/auth/methods", json!({})),
            ("/api/v1/auth/login", json!({ "password": "wrong horse battery" })),
            ("/api/v1/auth/magic-link", json!({})),
            ("/api/v1/auth/password-reset", json!({})),
        ] {
            let ask = async |email: &str| {
                let mut body = body.clone();
                body["email"] = json!(email);
                client.send("POST", path, &[], Some(body)).await
            };
            let (known, unknown) = (ask(OWNER).await, ask(UNKNOWN).await);
            assert_eq!(seen(&known), seen(&unknown), "{path}");
            // Until it is too much.
            for _ in 0..12 {
                let (known, unknown) = (ask(OWNER).await, ask(UNKNOWN).await);
                assert_eq!(seen(&known), seen(&unknown), "{path}");
            }
        }
    }

    async fn the_login_page_learns_what_it_may_offer(test: TestStore) {
        let world = World::new(test.store()).await;
        let client = Client::new(&world).await;
        let methods = async |email: &str| {
            client.send("POST", "/api/v1/auth/methods", &[], Some(json!({ "email": email }))).await.body
        };
        let expected = json!({
            "methods": ["password", "passkey", "magic_link"], "connections": [], "enforced": false, "password_reset": true,
        });
        assert_eq!(methods(OWNER).await, expected);
        assert_eq!(methods("not an address").await["field"], "email");
    }

    async fn a_login_with_a_second_factor_has_two_steps(test: TestStore) {
        let world = World::new(test.store()).await;
        let owner = world.owner.clone();
        let (secret, recovery_codes) = set_up_totp(&world, &owner).await;
        let client = Client::new(&world).await;
        let first = client.login(&[]).await;
        assert_eq!((first.status, first.header("set-cookie")), (202, None));
        assert_eq!(first.body["needs"], json!(["totp", "recovery_code"]));
        let pending = first.body["pending_token"].clone();
        let shown = code(&secret, world.clock.now(), 0);
        let send = async |path: &str, code: &str| {
            let body = json!({ "pending_token": pending, "code": code });
            client.send("POST", path, &[], Some(body)).await
        };
        let wrong = send("/api/v1/auth/totp", "000000").await;
        assert_eq!((wrong.status, &wrong.body["reason"]), (401, &json!("wrong_code")));
        assert_eq!(send("/api/v1/auth/totp", "12").await.status, 400);
        let second = send("/api/v1/auth/totp", &shown).await;
        assert_eq!((second.status, &second.body["user"]["email"]), (200, &json!(OWNER)));
        assert_eq!(second.body["enroll_by"], Value::Null);
        let cookie = cookie_of(&second);
        assert_eq!(client.send("GET", "/api/v1/me", &[("cookie", &cookie)], None).await.status, 200);
        let other = client.login(&[]).await;
        let body = json!({ "pending_token": other.body["pending_token"], "code": recovery_codes[0] });
        assert_eq!(client.send("POST", "/api/v1/auth/recovery-code", &[], Some(body)).await.status, 200);
    }

    async fn a_link_needs_the_cookie_of_the_browser_that_asked(test: TestStore) {
        let world = World::new(test.store()).await;
        let workflows = start_workers(&world).await;
        let client = Client::new(&world).await;
        let asked = client.send("POST", "/api/v1/auth/magic-link", &[], Some(json!({ "email": OWNER, "next": "/ask/" }))).await;
        assert_eq!(asked.status, 204);
        let set = asked.header("set-cookie").unwrap();
        assert!(set.ends_with("; HttpOnly; SameSite=Strict; Path=/api/v1/auth; Max-Age=900"), "{set}");
        let cookie = cookie_of(&asked);
        let token = token_in(&mails(&world, 1).await[0]);
        let come = async |headers: &[(&str, &str)]| {
            client.send("POST", "/api/v1/auth/magic-link/redeem", headers, Some(json!({ "token": token }))).await
        };
        let without = come(&[]).await;
        assert_eq!((without.status, &without.body["reason"]), (401, &json!("link_of_another_browser")));
        let with = come(&[("cookie", &cookie)]).await;
        assert_eq!((with.status, &with.body["user"]["email"]), (200, &json!(OWNER)));
        assert!(cookie_of(&with).starts_with("plasma_session=pls_"));
        settled(&world).await;
        workflows.stop().await;
    }

    async fn a_request_cannot_choose_where_a_link_leads(test: TestStore) {
        let world = World::new(test.store()).await;
        let client = Client::new(&world).await;
        for next in ["https://evil.example", "//evil.example", "/\\evil.example"] {
            let body = json!({ "email": OWNER, "next": next });
            let answer = client.send("POST", "/api/v1/auth/magic-link", &[], Some(body)).await;
            assert_eq!((answer.status, &answer.body["field"]), (400, &json!("next")));
        }
    }

    async fn a_proof_renews_the_cookie(test: TestStore) {
        let world = World::new(test.store()).await;
        let client = Client::new(&world).await;
        let first = cookie_of(&client.login(&[]).await);
        let session = [("cookie", first.as_str())];
        let ways = client.send("GET", "/api/v1/auth/step-up", &session, None).await;
        assert_eq!(ways.body, json!({ "password": true, "totp": false, "passkey": false }));
        world.clock.advance(std::time::Duration::from_secs(11 * 60));
        let key = || Some(json!({ "name": "CI", "role": "viewer" }));
        let refused = client.send("POST", "/api/v1/api-keys", &session, key()).await;
        assert_eq!((refused.status, &refused.body["reason"]), (403, &json!("step_up_required")));
        let wrong = json!({ "password": "wrong horse battery" });
        let wrong = client.send("POST", "/api/v1/auth/step-up", &session, Some(wrong)).await;
        assert_eq!((wrong.status, &wrong.body["reason"]), (400, &json!("wrong_password")));
        let both = json!({ "password": PASSWORD, "totp": "123456" });
        assert_eq!(client.send("POST", "/api/v1/auth/step-up", &session, Some(both)).await.status, 400);
        let proved = client.send("POST", "/api/v1/auth/step-up", &session, Some(json!({ "password": PASSWORD }))).await;
        assert_eq!(proved.status, 200);
        let second = cookie_of(&proved);
        assert_ne!(first, second);
        let session = [("cookie", second.as_str())];
        assert_eq!(client.send("POST", "/api/v1/api-keys", &session, key()).await.status, 201);
    }

    async fn factors_and_sessions_keep_to_the_contract(test: TestStore) {
        let world = World::new(test.store()).await;
        let client = Client::new(&world).await;
        let bearer = format!("Bearer {}", client.login(&[("user-agent", "curl/8.5.0")]).await.body["token"].as_str().unwrap());
        let owner = [("authorization", bearer.as_str())];
        let overview = client.send("GET", "/api/v1/me/security", &owner, None).await;
        assert_eq!(overview.body, json!({
            "has_password": true, "totp_since": null, "recovery_codes": 0, "passkeys": [], "mfa_required": false,
            "enroll_by": null, "may_enroll": ["passkey", "totp"],
        }));
        let setup = client.send("POST", "/api/v1/me/totp", &owner, None).await;
        let secret = setup.body["secret"].as_str().unwrap();
        assert!(setup.body["address"].as_str().unwrap().starts_with("otpauth://totp/Plasma:"));
        assert!(setup.body["qr_svg"].as_str().unwrap().contains("<svg"));
        let shown = json!({ "code": code(secret, world.clock.now(), 0) });
        let added = client.send("POST", "/api/v1/me/totp/confirm", &owner, Some(shown)).await;
        assert_eq!(added.body["recovery_codes"].as_array().unwrap().len(), 10);
        let renewed = client.send("POST", "/api/v1/me/recovery-codes", &owner, None).await;
        assert_ne!(renewed.body["recovery_codes"], added.body["recovery_codes"]);
        assert_eq!(client.send("DELETE", "/api/v1/me/totp", &owner, None).await.status, 204);
        assert_eq!(client.send("DELETE", "/api/v1/me/totp", &owner, None).await.status, 404);

        let challenge = client.send("POST", "/api/v1/me/passkeys/options", &owner, None).await;
        assert_eq!(challenge.body["options"]["rp"]["id"], "localhost");
        assert_eq!(client.send("GET", "/api/v1/me/passkeys", &owner, None).await.body, json!({ "data": [] }));
        let public = client.send("POST", "/api/v1/auth/passkey/options", &[], Some(json!({}))).await;
        assert_eq!((public.status, &public.body["options"]["rpId"]), (200, &json!("localhost")));

        let mine = client.send("GET", "/api/v1/me/sessions", &owner, None).await.body;
        let current = mine["data"].as_array().unwrap().iter().find(|session| session["is_current"] == true).unwrap();
        assert_eq!((&current["device"], &current["address"]), (&json!("curl"), &json!("127.0.0.1")));
        assert_eq!(current["methods"], json!(["password"]));
        let all = client.send("GET", "/api/v1/sessions?limit=1", &owner, None).await.body;
        assert_eq!((all["data"].as_array().unwrap().len(), &all["has_more"]), (1, &json!(true)));
        assert_eq!(client.send("DELETE", "/api/v1/me/sessions", &owner, None).await.status, 204);
        let left = client.send("GET", "/api/v1/me/sessions", &owner, None).await.body;
        assert_eq!(left["data"].as_array().unwrap().len(), 1);

        let ada = world.add("ada", Role::Editor).await;
        let path = format!("/api/v1/users/{}", ada.id);
        assert_eq!(client.send("DELETE", &format!("{path}/sessions"), &owner, None).await.status, 204);
        assert_eq!(client.send("DELETE", &format!("{path}/factors"), &owner, None).await.status, 204);
    }

    async fn the_policy_keeps_to_the_contract(test: TestStore) {
        let world = World::new(test.store()).await;
        let client = Client::new(&world).await;
        let bearer = format!("Bearer {}", client.login(&[]).await.body["token"].as_str().unwrap());
        let owner = [("authorization", bearer.as_str())];
        let path = "/api/v1/security/login-policy";
        assert_eq!(client.send("GET", path, &owner, None).await.body, json!({
            "methods": ["password", "totp", "passkey", "magic_link", "single_sign_on"], "mfa_required": false,
            "mfa_required_at": null, "mfa_grace_seconds": 0, "session_seconds": 2_592_000, "idle_seconds": 604_800,
            "ip_ranges": [], "updated_at": null,
        }));
        let policy = |change: Value| {
            let mut policy = json!({
                "methods": ["password", "totp", "passkey"], "mfa_required": true, "mfa_grace_seconds": 86_400,
                "session_seconds": 28_800, "idle_seconds": 3_600, "ip_ranges": ["127.0.0.1", "192.0.2.7/24"],
            });
            for (name, value) in change.as_object().unwrap() {
                policy[name] = value.clone();
            }
            policy
        };
        let put = client.send("PUT", path, &owner, Some(policy(json!({})))).await;
        assert_eq!((put.status, &put.body["ip_ranges"]), (200, &json!(["127.0.0.1/32", "192.0.2.0/24"])));
        assert_eq!((&put.body["mfa_required_at"], &put.body["updated_at"]), (&json!(world.clock.now()), &json!(world.clock.now())));
        for (change, field) in [
            (json!({ "ip_ranges": ["127.0.0.1", "nonsense"] }), "ip_ranges[1]"),
            (json!({ "ip_ranges": ["192.0.2.0/24"] }), "ip_ranges"),
            (json!({ "methods": ["passkey"] }), "methods"),
            (json!({ "methods": ["telepathy"] }), "methods[0]"),
            (json!({ "session_seconds": 60 }), "session_seconds"),
            (json!({ "idle_seconds": 36_000 }), "idle_seconds"),
            (json!({ "colour": 1 }), "colour"),
        ] {
            let answer = client.send("PUT", path, &owner, Some(policy(change))).await;
            assert_eq!((answer.status, &answer.body["field"]), (400, &json!(field)), "{}", answer.body);
        }
    }
}
