use std::time::{Duration, Instant};

use plasma_identity::UserChange;
use plasma_kernel::{Actor, Code, Permission, Permissions, Role};
use plasma_testkit::on_each_database;

use crate::support::{DAY, OWNER, PASSWORD, World, all_of, reason, refused, secret};

on_each_database! {
    async fn the_right_password_opens_a_session(test: TestStore) {
        let world = World::new(test.store()).await;
        let ada = world.add("ada", Role::Editor).await;
        let logged_in = world.login(" ADA@Example.org ", PASSWORD).await.unwrap();
        assert_eq!(logged_in.user.id, ada.id);
        assert_eq!(logged_in.user.last_login_at, Some(world.clock.now()));
        assert_eq!(logged_in.expires_at, world.clock.now() + 30 * 24 * 3_600 * 1_000_000);
        assert!(logged_in.token.expose().starts_with("pls_"));

        let authenticated = world.identity.authenticate(logged_in.token.expose()).await.unwrap();
        assert_eq!(authenticated.ctx.actor(), &Actor::User { id: ada.id });
        assert_eq!(authenticated.ctx.tenant().unwrap(), logged_in.tenant.id);
        assert_eq!(*authenticated.ctx.permissions(), Role::Editor.permissions());
        assert_eq!(authenticated.session, Some(logged_in.session));
        assert_eq!(authenticated.role, Role::Editor);
        assert_eq!(world.count_events(&world.owner, "identity.login.succeeded", ada.id).await, 1);

        let me = world.identity.me(&authenticated.ctx).await.unwrap();
        assert_eq!((me.role, me.user.unwrap().id, me.tenant), (Role::Editor, ada.id, logged_in.tenant));
    }

    async fn an_operator_also_manages_the_installation(test: TestStore) {
        let world = World::new(test.store()).await;
        assert_eq!(*world.owner.permissions(), Permissions::all());
        world.add("ada", Role::Owner).await;
        let (_, ada) = world.enter("ada").await;
        assert_eq!(*ada.permissions(), Role::Owner.permissions());
    }

    async fn wrong_unknown_and_disabled_do_not_get_in(test: TestStore) {
        let world = World::new(test.store()).await;
        let ada = world.add("ada", Role::Editor).await;
        let wrong = refused(world.login("ada@example.org", "wrong horse battery").await);
        let unknown = refused(world.login("grace@example.org", PASSWORD).await);
        assert_eq!(wrong.code(), Code::Unauthenticated);
        assert_eq!(wrong.to_string(), unknown.to_string());
        assert_eq!((wrong.code(), wrong.reason()), (unknown.code(), unknown.reason()));
        assert_eq!(reason(world.login("", PASSWORD).await), "invalid");
        assert_eq!(reason(world.login("ada@example.org", "").await), "invalid");
        assert_eq!(reason(world.login("ada@example.org", &"a".repeat(10_000_000)).await), "invalid");

        // The tenant's log tells of the known account only; nobody's e-mail or password is in it.
        assert_eq!(world.count_events(&world.owner, "identity.login.failed", ada.id).await, 1);
        assert_eq!(world.count_events(&world.owner, "identity.login.failed", "unknown").await, 0);

        let disabled = UserChange { disabled: Some(true), ..UserChange::default() };
        world.identity.update_user(&world.owner, ada.id, disabled).await.unwrap();
        assert_eq!(refused(world.login("ada@example.org", PASSWORD).await).code(), Code::Unauthenticated);
        // Only who knows the password learns that the user is disabled.
        assert_eq!(reason(world.login("ada@example.org", PASSWORD).await), "user_disabled");
        assert_eq!(reason(world.login("ada@example.org", "wrong horse battery").await), "login_failed");
    }

    async fn an_unknown_email_takes_as_long_as_a_wrong_password(test: TestStore) {
        let world = World::new(test.store()).await;
        for number in 0..3 {
            world.add(&format!("user{number}"), Role::Viewer).await;
        }
        let mut fastest = [Duration::MAX; 2];
        for number in 0..3 {
            for (index, domain) in ["example.org", "example.com"].iter().enumerate() {
                let started = Instant::now();
                let email = format!("user{number}@{domain}");
                assert_eq!(reason(world.login(&email, "wrong horse battery").await), "login_failed");
                fastest[index] = fastest[index].min(started.elapsed());
            }
        }
        // Without the work on a stand-in the unknown one would be ten times faster.
        assert!(fastest[1] * 3 > fastest[0], "wrong password {:?}, unknown e-mail {:?}", fastest[0], fastest[1]);
    }

    async fn a_session_ends_after_a_week_without_use(test: TestStore) {
        let world = World::new(test.store()).await;
        let token = world.login(OWNER, PASSWORD).await.unwrap().token;
        let token = token.expose();
        world.clock.advance(DAY * 6);
        assert!(world.is_valid(token).await);
        world.identity.flush().await.unwrap();
        world.clock.advance(DAY * 6);
        // Another process reads what this one wrote.
        assert!(world.other_process(test.store()).authenticate(token).await.is_ok());
        assert!(world.is_valid(token).await);
        world.clock.advance(DAY * 7);
        assert_eq!(reason(world.identity.authenticate(token).await), "session_expired");
    }

    async fn a_session_ends_after_thirty_days_however_busy(test: TestStore) {
        let world = World::new(test.store()).await;
        let token = world.login(OWNER, PASSWORD).await.unwrap().token;
        for _ in 0..29 {
            world.clock.advance(DAY);
            assert!(world.is_valid(token.expose()).await);
        }
        world.clock.advance(DAY - Duration::from_micros(1));
        assert!(world.is_valid(token.expose()).await);
        world.clock.advance(Duration::from_micros(1));
        assert_eq!(refused(world.identity.authenticate(token.expose()).await).code(), Code::Unauthenticated);
    }

    async fn logging_out_ends_this_session_at_once_and_no_other(test: TestStore) {
        let world = World::new(test.store()).await;
        world.add("ada", Role::Editor).await;
        let (first, first_ctx) = world.enter("ada").await;
        let (second, second_ctx) = world.enter("ada").await;
        world.identity.logout(&first_ctx, &first).await.unwrap();
        assert!(!world.is_valid(&first).await);
        assert!(world.is_valid(&second).await);
        // Nobody ends another person's session, even knowing its token.
        world.identity.logout(&world.owner, &second).await.unwrap();
        assert!(world.is_valid(&second).await);
        assert_eq!(reason(world.identity.logout(&second_ctx, "plk_whatever").await), "invalid");
    }

    async fn a_new_password_ends_the_other_sessions(test: TestStore) {
        let world = World::new(test.store()).await;
        let ada = world.add("ada", Role::Editor).await;
        let (here, ctx) = world.enter("ada").await;
        let (elsewhere, _) = world.enter("ada").await;
        let change = async |current: &str, new: &str| {
            world.identity.change_password(&ctx, &secret(current), &secret(new)).await
        };
        let wrong = refused(change("wrong horse battery", "a new long password").await);
        assert_eq!((wrong.reason(), wrong.field_name()), ("wrong_password", Some("current_password")));
        assert_eq!(refused(change(PASSWORD, "short").await).field_name(), Some("new_password"));
        assert_eq!(refused(change(PASSWORD, "Ada@example.org").await).field_name(), Some("new_password"));
        assert!(world.is_valid(&elsewhere).await);

        change(PASSWORD, "a new long password").await.unwrap();
        assert!(world.is_valid(&here).await);
        assert!(!world.is_valid(&elsewhere).await);
        assert_eq!(reason(world.login("ada@example.org", PASSWORD).await), "login_failed");
        world.login("ada@example.org", "a new long password").await.unwrap();
        assert_eq!(world.count_events(&world.owner, "identity.user.updated", ada.id).await, 1);
    }

    async fn guessing_through_a_session_is_throttled_too(test: TestStore) {
        let world = World::new(test.store()).await;
        world.add("ada", Role::Editor).await;
        let (_, ctx) = world.enter("ada").await;
        let mut last = Code::Invalid;
        for _ in 0..11 {
            let guess = secret("wrong horse battery");
            last = refused(world.identity.change_password(&ctx, &guess, &secret("a new long password")).await).code();
        }
        assert_eq!(last, Code::RateLimited);
        assert_eq!(refused(world.login("ada@example.org", PASSWORD).await).code(), Code::RateLimited);
    }

    async fn a_key_cannot_change_a_password(test: TestStore) {
        let world = World::new(test.store()).await;
        let key = world.identity.create_api_key(&world.owner, all_of(Role::Owner)).await.unwrap().key;
        let ctx = world.identity.authenticate(key.expose()).await.unwrap().ctx;
        let change = world.identity.change_password(&ctx, &secret(PASSWORD), &secret("a new long password")).await;
        assert_eq!(refused(change).code(), Code::Forbidden);
    }

    async fn a_user_has_at_most_fifty_sessions(test: TestStore) {
        let world = World::new(test.store()).await;
        let first = world.login(OWNER, PASSWORD).await.unwrap().token;
        for _ in 0..50 {
            world.clock.advance(Duration::from_secs(1));
            world.login(OWNER, PASSWORD).await.unwrap();
        }
        assert!(!world.is_valid(first.expose()).await);
        let mut tx = test.read(&world.system()).await.unwrap();
        let sessions: i64 = tx.fetch_one("SELECT COUNT(*) AS sessions FROM sessions", []).await.unwrap().get("sessions").unwrap();
        assert_eq!(sessions, 50);
    }

    async fn many_requests_note_one_use_a_minute(test: TestStore) {
        let world = World::new(test.store()).await;
        let token = world.login(OWNER, PASSWORD).await.unwrap().token;
        let opened_at = world.clock.now();
        let last_used_at = async || {
            world.identity.flush().await.unwrap();
            let mut tx = test.read(&world.system()).await.unwrap();
            let row = tx.fetch_one("SELECT MAX(last_used_at) AS last_used_at FROM sessions", []).await.unwrap();
            row.get::<i64>("last_used_at").unwrap()
        };
        world.clock.advance(Duration::from_secs(59));
        world.is_valid(token.expose()).await;
        assert_eq!(last_used_at().await, opened_at);
        world.clock.advance(Duration::from_secs(1));
        world.is_valid(token.expose()).await;
        assert_eq!(last_used_at().await, opened_at + 60_000_000);
    }

    async fn a_disabled_person_is_out_at_once(test: TestStore) {
        let world = World::new(test.store()).await;
        let ada = world.add("ada", Role::Admin).await;
        let (token, ctx) = world.enter("ada").await;
        let key = world.identity.create_api_key(&ctx, all_of(Role::Service)).await.unwrap().key;
        assert!(world.is_valid(key.expose()).await);
        let set = async |disabled: bool| {
            let change = UserChange { disabled: Some(disabled), ..UserChange::default() };
            world.identity.update_user(&world.owner, ada.id, change).await.unwrap();
        };
        set(true).await;
        assert!(!world.is_valid(&token).await);
        assert!(!world.is_valid(key.expose()).await);
        set(false).await;
        assert!(!world.is_valid(&token).await, "the old session stays ended");
        assert!(world.is_valid(key.expose()).await);
        world.enter("ada").await;
    }

    async fn a_changed_role_binds_the_next_request(test: TestStore) {
        let world = World::new(test.store()).await;
        let ada = world.add("ada", Role::Editor).await;
        let (token, ctx) = world.enter("ada").await;
        assert!(ctx.require(Permission::ContentWrite).is_ok());
        let change = UserChange { role: Some(Role::Viewer), ..UserChange::default() };
        world.identity.update_user(&world.owner, ada.id, change).await.unwrap();
        let ctx = world.identity.authenticate(&token).await.unwrap().ctx;
        assert!(ctx.require(Permission::ContentWrite).is_err());
    }

    async fn what_is_stored_gives_no_secret_away(test: TestStore) {
        let world = World::new(test.store()).await;
        world.add("ada", Role::Editor).await;
        let (token, _) = world.enter("ada").await;
        let key = world.identity.create_api_key(&world.owner, all_of(Role::Editor)).await.unwrap().key;
        refused(world.login("ada@example.org", "wrong horse battery").await);
        refused(world.login("nobody-here@example.org", "wrong horse battery").await);
        refused(world.login("a password typed in the wrong field", "wrong horse battery").await);
        let stored = world.everything_stored().await;
        assert!(stored.contains("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(stored.contains("n***@example.org"));
        for secret in [PASSWORD, "wrong horse", &token, &token[4..], key.expose(), &key.expose()[12..], "nobody-here", "wrong field"] {
            assert!(!stored.contains(secret), "{secret} is stored");
        }
    }
}
