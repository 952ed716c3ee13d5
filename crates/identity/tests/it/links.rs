use std::time::Duration;

use plasma_identity::{LinkRequest, LoginPolicy, LoginStep, Need, Secret};
use plasma_kernel::{Code, Method, Methods, Origin, Result, Role};
use plasma_testkit::on_each_database;
use url::Url;

use crate::{
    authenticator::ORIGIN,
    mail::{mails, outbox, settled, start_workers, token_in},
    second_factors::set_up_totp,
    support::{PASSWORD, World, done, reason, refused, secret},
};

const QUARTER: Duration = Duration::from_secs(15 * 60);

fn request(email: &str) -> LinkRequest {
    LinkRequest {
        email: email.to_owned(),
        base_url: Url::parse(ORIGIN).unwrap(),
        next_path: Some("/knowledge/?id=1".to_owned()),
        origin: Origin::default(),
    }
}

async fn ask(world: &World, email: &str, browser: Option<&Secret>) -> Result<Secret> {
    world.identity.request_login_link(&world.system(), request(email), browser.map(Secret::expose)).await
}

async fn come(world: &World, token: &str, browser: Option<&Secret>) -> Result<LoginStep> {
    let browser = browser.map(Secret::expose);
    world.identity.login_with_link(&world.system(), token, browser, Origin::default()).await
}

async fn reset(world: &World, token: &str, password: &str) -> Result<()> {
    world.identity.reset_password(&world.system(), token, &secret(password), &Origin::default()).await
}

on_each_database! {
    async fn a_link_logs_in_once_in_the_browser_that_asked(test: TestStore) {
        let world = World::new(test.store()).await;
        let ada = world.add("ada", Role::Editor).await;
        let workflows = start_workers(&world).await;
        let browser = ask(&world, " Ada@example.org ", None).await.unwrap();
        let mail = &mails(&world, 1).await[0];
        assert!(mail.contains("To: ada@example.org") && mail.contains("http://localhost:8080/login/link/?next="), "{mail}");
        let token = token_in(mail);
        assert_eq!(reason(come(&world, &token, None).await), "link_of_another_browser");
        assert_eq!(reason(come(&world, &token, Some(&secret("plb_other"))).await), "link_of_another_browser");
        // Trying it in another browser has not used it up.
        let logged_in = done(come(&world, &token, Some(&browser)).await.unwrap());
        assert_eq!(logged_in.user.id, ada.id);
        let ctx = world.identity.authenticate(logged_in.token.expose()).await.unwrap().ctx;
        let expected: Methods = [Method::MagicLink].into_iter().collect();
        assert_eq!(ctx.authentication().unwrap().methods, expected);
        assert_eq!(reason(come(&world, &token, Some(&browser)).await), "link_expired");
        workflows.stop().await;
    }

    async fn a_link_ends_after_a_quarter_of_an_hour(test: TestStore) {
        let world = World::new(test.store()).await;
        world.add("ada", Role::Editor).await;
        let workflows = start_workers(&world).await;
        let browser = ask(&world, "ada@example.org", None).await.unwrap();
        let token = token_in(&mails(&world, 1).await[0]);
        world.clock.advance(QUARTER);
        assert_eq!(reason(come(&world, &token, Some(&browser)).await), "link_expired");
        for nonsense in ["", "pll_", "pll_000", "pls_000", &"p".repeat(10_000)] {
            assert_eq!(reason(come(&world, nonsense, Some(&browser)).await), "link_expired");
        }
        workflows.stop().await;
    }

    async fn one_browser_may_ask_twice(test: TestStore) {
        let world = World::new(test.store()).await;
        world.add("ada", Role::Editor).await;
        let workflows = start_workers(&world).await;
        let browser = ask(&world, "ada@example.org", None).await.unwrap();
        let again = ask(&world, "ada@example.org", Some(&browser)).await.unwrap();
        assert_eq!(again, browser);
        for mail in &mails(&world, 2).await {
            done(come(&world, &token_in(mail), Some(&browser)).await.unwrap());
        }
        // What was never ours is not taken over.
        assert_ne!(ask(&world, "ada@example.org", Some(&secret("evil; Path=/"))).await.unwrap().expose(), "evil; Path=/");
        workflows.stop().await;
    }

    async fn nobody_learns_whether_an_email_is_known(test: TestStore) {
        let world = World::new(test.store()).await;
        world.add("ada", Role::Editor).await;
        let workflows = start_workers(&world).await;
        let counted = async || {
            let mut counts = Vec::new();
            let mut tx = world.store.read(&world.system()).await.unwrap();
            for sql in [
                "SELECT COUNT(*) AS kept FROM login_links",
                "SELECT COUNT(*) AS kept FROM jobs WHERE kind = 'identity.link'",
                "SELECT COUNT(*) AS kept FROM events WHERE type = 'identity.link.requested'",
            ] {
                counts.push(tx.fetch_one(sql, []).await.unwrap().get::<i64>("kept").unwrap());
            }
            counts
        };
        for (index, email) in ["ada@example.org", "nobody@example.org"].into_iter().enumerate() {
            ask(&world, email, None).await.unwrap();
            world.identity.request_password_reset(&world.system(), request(email)).await.unwrap();
            let expected = 2 * (i64::try_from(index).unwrap() + 1);
            assert_eq!(counted().await, [expected; 3], "the same is done for {email}");
        }
        settled(&world).await;
        assert_eq!(outbox(&world).len(), 2);
        assert!(outbox(&world).iter().all(|mail| mail.contains("To: ada@example.org")));
        // Asking too often is refused alike.
        for email in ["ada@example.org", "nobody@example.org"] {
            for _ in 0..2 {
                ask(&world, email, None).await.unwrap();
            }
            let error = refused(ask(&world, email, None).await);
            assert_eq!((error.code(), error.reason(), error.retry_after()), (Code::RateLimited, "too_many_requests", Some(900_000)));
        }
        world.clock.advance(QUARTER);
        ask(&world, "nobody@example.org", None).await.unwrap();
        workflows.stop().await;
    }

    async fn a_link_is_no_second_factor(test: TestStore) {
        let world = World::new(test.store()).await;
        world.add("ada", Role::Editor).await;
        let (_, ctx) = world.enter("ada").await;
        set_up_totp(&world, &ctx).await;
        let workflows = start_workers(&world).await;
        let browser = ask(&world, "ada@example.org", None).await.unwrap();
        let token = token_in(&mails(&world, 1).await[0]);
        match come(&world, &token, Some(&browser)).await.unwrap() {
            LoginStep::Continue(pending) => assert_eq!(pending.needs, [Need::Totp, Need::RecoveryCode]),
            LoginStep::Done(_) => panic!("a link alone was enough"),
        }
        workflows.stop().await;
    }

    async fn a_forgotten_password_is_replaced(test: TestStore) {
        let world = World::new(test.store()).await;
        let ada = world.add("ada", Role::Editor).await;
        let (before, ctx) = world.enter("ada").await;
        set_up_totp(&world, &ctx).await;
        let workflows = start_workers(&world).await;
        world.identity.request_password_reset(&world.system(), request("ada@example.org")).await.unwrap();
        let mail = &mails(&world, 1).await[0];
        assert!(mail.contains("http://localhost:8080/login/reset/#token="), "{mail}");
        let token = token_in(mail);
        assert_eq!(refused(reset(&world, &token, "Football2024!").await).reason(), "common_password");
        assert_eq!(refused(reset(&world, &token, "short").await).field_name(), Some("new_password"));
        assert!(world.is_valid(&before).await);
        reset(&world, &token, "a new long password").await.unwrap();
        assert!(!world.is_valid(&before).await, "all sessions end");
        assert_eq!(world.count_events(&world.owner, "identity.user.password_reset", ada.id).await, 1);
        assert_eq!(reason(reset(&world, &token, "another long password").await), "link_expired");
        assert_eq!(reason(world.login_step("ada@example.org", PASSWORD).await), "login_failed");
        // The second factor is asked for all the same.
        match world.login_step("ada@example.org", "a new long password").await.unwrap() {
            LoginStep::Continue(pending) => assert_eq!(pending.needs[0], Need::Totp),
            LoginStep::Done(_) => panic!("the mail was a way around the second factor"),
        }
        workflows.stop().await;
    }

    async fn a_link_for_one_thing_is_none_for_another(test: TestStore) {
        let world = World::new(test.store()).await;
        world.add("ada", Role::Editor).await;
        let workflows = start_workers(&world).await;
        let browser = ask(&world, "ada@example.org", None).await.unwrap();
        let login = token_in(&mails(&world, 1).await[0]);
        world.clock.advance(Duration::from_secs(1));
        world.identity.request_password_reset(&world.system(), request("ada@example.org")).await.unwrap();
        let replace = token_in(&mails(&world, 2).await[1]);
        assert_eq!(reason(reset(&world, &login, "a new long password").await), "link_expired");
        assert_eq!(reason(come(&world, &replace, Some(&browser)).await), "link_expired");
        // Replacing the password ends the other link.
        reset(&world, &replace, "a new long password").await.unwrap();
        assert_eq!(reason(come(&world, &login, Some(&browser)).await), "link_expired");
        workflows.stop().await;
    }

    async fn what_the_workspace_does_not_allow_is_told_in_the_mail_alone(test: TestStore) {
        let world = World::new(test.store()).await;
        world.add("ada", Role::Editor).await;
        let methods = [Method::Password, Method::Totp].into_iter().collect();
        let policy = LoginPolicy { methods, ..LoginPolicy::default() };
        world.identity.set_login_policy(&world.owner, policy, None).await.unwrap();
        let workflows = start_workers(&world).await;
        ask(&world, "ada@example.org", None).await.unwrap();
        let mail = &mails(&world, 1).await[0];
        assert!(mail.contains("does not allow that") && !mail.contains("#token="), "{mail}");
        workflows.stop().await;
    }

    async fn what_is_stored_opens_nothing(test: TestStore) {
        let world = World::new(test.store()).await;
        world.add("ada", Role::Editor).await;
        let workflows = start_workers(&world).await;
        let browser = ask(&world, "ada@example.org", None).await.unwrap();
        let token = token_in(&mails(&world, 1).await[0]);
        settled(&world).await;
        let mut tx = world.store.read(&world.system()).await.unwrap();
        let mut stored = String::new();
        for row in tx.fetch_all("SELECT token_hash, browser_hash FROM login_links", []).await.unwrap() {
            for column in ["token_hash", "browser_hash"] {
                stored.push_str(&String::from_utf8_lossy(&row.get::<Vec<u8>>(column).unwrap()));
            }
        }
        for row in tx.fetch_all("SELECT payload FROM jobs", []).await.unwrap() {
            stored.push_str(&row.get::<String>("payload").unwrap());
        }
        drop(tx);
        stored.push_str(&world.everything_stored().await);
        for hidden in [token.as_str(), browser.expose()] {
            assert!(!stored.contains(hidden), "{hidden} is stored");
        }
        workflows.stop().await;
    }
}
