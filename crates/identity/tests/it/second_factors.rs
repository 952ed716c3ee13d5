use std::time::Duration;

use plasma_identity::{Factor, LoginPolicy, LoginStep, Need, PendingLogin};
use plasma_kernel::{Code, Ctx, Method, Methods, Origin, Result, Role};
use plasma_testkit::on_each_database;

use crate::{
    authenticator::code,
    isolation::second_tenant,
    support::{PASSWORD, World, all_of, done, reason, refused},
};

const STEP: Duration = Duration::from_secs(30);

/// Sets up an authenticator application, and lets its first code grow old. Returns its secret and the recovery codes.
pub async fn set_up_totp(world: &World, ctx: &Ctx) -> (String, Vec<String>) {
    let setup = world.identity.begin_totp(ctx).await.unwrap();
    let secret = setup.secret.expose().to_owned();
    let enrolled = world.identity.confirm_totp(ctx, &code(&secret, world.clock.now(), 0)).await.unwrap();
    world.clock.advance(STEP);
    let codes = enrolled.recovery_codes.unwrap_or_default();
    (secret, codes.iter().map(|code| code.expose().to_owned()).collect())
}

/// A login that needs another proof.
pub async fn half_way(world: &World, name: &str) -> PendingLogin {
    match world.login_step(&format!("{name}@example.org"), PASSWORD).await.unwrap() {
        LoginStep::Continue(pending) => pending,
        LoginStep::Done(_) => panic!("nothing more was asked for"),
    }
}

async fn with_totp(world: &World, pending: &PendingLogin, code: &str) -> Result<LoginStep> {
    world.identity.login_with_totp(&world.system(), pending.token.expose(), code, Origin::default()).await
}

async fn with_recovery(world: &World, pending: &PendingLogin, code: &str) -> Result<LoginStep> {
    world.identity.login_with_recovery_code(&world.system(), pending.token.expose(), code, Origin::default()).await
}

on_each_database! {
    async fn a_password_alone_no_longer_logs_in(test: TestStore) {
        let world = World::new(test.store()).await;
        let ada = world.add("ada", Role::Editor).await;
        let (_, ctx) = world.enter("ada").await;
        let (secret, codes) = set_up_totp(&world, &ctx).await;
        assert_eq!(codes.len(), 10);
        assert_eq!(world.count_events(&world.owner, "identity.factor.added", ada.id).await, 1);

        let pending = half_way(&world, "ada").await;
        assert_eq!(pending.needs, [Need::Totp, Need::RecoveryCode]);
        assert_eq!(pending.expires_at, world.clock.now() + 600_000_000);
        assert!(!world.is_valid(pending.token.expose()).await, "it opens nothing by itself");
        assert_eq!(world.count_events(&world.owner, "identity.login.succeeded", ada.id).await, 1);

        let logged_in = done(with_totp(&world, &pending, &code(&secret, world.clock.now(), 0)).await.unwrap());
        let ctx = world.identity.authenticate(logged_in.token.expose()).await.unwrap().ctx;
        let expected: Methods = [Method::Password, Method::Totp].into_iter().collect();
        assert_eq!(ctx.authentication().unwrap().methods, expected);
        assert_eq!(world.count_events(&world.owner, "identity.login.succeeded", ada.id).await, 2);
        // The login was finished; its token is of no more use.
        world.clock.advance(STEP);
        let again = with_totp(&world, &pending, &code(&secret, world.clock.now(), 0)).await;
        assert_eq!(reason(again), "login_expired");
    }

    async fn a_code_is_good_once_and_for_a_step_before_and_after(test: TestStore) {
        let world = World::new(test.store()).await;
        world.add("ada", Role::Editor).await;
        let (_, ctx) = world.enter("ada").await;
        let (secret, _) = set_up_totp(&world, &ctx).await;
        let now = world.clock.now();
        let early = half_way(&world, "ada").await;
        for wrong in [code(&secret, now, -2), code(&secret, now, 2)] {
            assert_eq!(reason(with_totp(&world, &early, &wrong).await), "wrong_code");
        }
        done(with_totp(&world, &early, &code(&secret, now, 1)).await.unwrap());
        // The same code again, and those of the steps before it, which somebody may have seen.
        let replay = half_way(&world, "ada").await;
        for seen in [1, 0, -1] {
            assert_eq!(reason(with_totp(&world, &replay, &code(&secret, now, seen)).await), "wrong_code");
        }
        world.clock.advance(STEP * 2);
        done(with_totp(&world, &replay, &code(&secret, world.clock.now(), 0)).await.unwrap());
    }

    async fn of_two_who_come_with_one_code_one_gets_in(test: TestStore) {
        let world = std::sync::Arc::new(World::new(test.store()).await);
        world.add("ada", Role::Editor).await;
        let (_, ctx) = world.enter("ada").await;
        let (secret, _) = set_up_totp(&world, &ctx).await;
        let shown = code(&secret, world.clock.now(), 0);
        let mut tries = Vec::new();
        // As many as may fail before somebody has to wait.
        for _ in 0..4 {
            let pending = half_way(&world, "ada").await;
            let (world, shown) = (std::sync::Arc::clone(&world), shown.clone());
            tries.push(tokio::spawn(async move { with_totp(&world, &pending, &shown).await.map(done) }));
        }
        let mut inside = 0;
        for attempt in tries {
            match attempt.await.unwrap() {
                Ok(_) => inside += 1,
                Err(error) => assert_eq!(error.reason(), "wrong_code"),
            }
        }
        assert_eq!(inside, 1);
    }

    async fn guessing_codes_is_throttled(test: TestStore) {
        let world = World::new(test.store()).await;
        let ada = world.add("ada", Role::Editor).await;
        let (_, ctx) = world.enter("ada").await;
        let (secret, _) = set_up_totp(&world, &ctx).await;
        let pending = half_way(&world, "ada").await;
        let mut verified = 0;
        for guess in 0..20 {
            match refused(with_totp(&world, &pending, &format!("{guess:06}")).await) {
                error if error.code() == Code::Unauthenticated => verified += 1,
                error => {
                    assert_eq!(error.code(), Code::RateLimited);
                    world.clock.advance(Duration::from_millis(error.retry_after().unwrap().min(40_000)));
                }
            }
        }
        assert!(verified <= 10, "{verified} were verified");
        assert_eq!(world.count_events(&world.owner, "identity.proof.failed", ada.id).await, verified);
        // The right one does not help before the wait is over.
        world.clock.advance(Duration::from_secs(1));
        let pending = half_way(&world, "ada").await;
        let right = with_totp(&world, &pending, &code(&secret, world.clock.now(), 0)).await;
        assert_eq!(refused(right).code(), Code::RateLimited);
        // Guesses at the password are counted apart, and others are not touched.
        world.login("owner@example.org", PASSWORD).await.unwrap();
    }

    async fn a_recovery_code_is_good_once(test: TestStore) {
        let world = World::new(test.store()).await;
        let ada = world.add("ada", Role::Editor).await;
        let (_, ctx) = world.enter("ada").await;
        let (_, codes) = set_up_totp(&world, &ctx).await;
        let pending = half_way(&world, "ada").await;
        assert_eq!(reason(with_recovery(&world, &pending, "0000-0000-0000-0000").await), "wrong_code");
        done(with_recovery(&world, &pending, &codes[3].to_uppercase().replace('-', " ")).await.unwrap());
        assert_eq!(world.count_events(&world.owner, "identity.recovery_codes.used", ada.id).await, 1);
        let pending = half_way(&world, "ada").await;
        assert_eq!(reason(with_recovery(&world, &pending, &codes[3]).await), "wrong_code");
        done(with_recovery(&world, &pending, &codes[4]).await.unwrap());
        assert_eq!(world.identity.security_overview(&ctx).await.unwrap().recovery_codes, 8);

        let renewed = world.identity.renew_recovery_codes(&ctx).await.unwrap();
        let pending = half_way(&world, "ada").await;
        assert_eq!(reason(with_recovery(&world, &pending, &codes[5]).await), "wrong_code");
        done(with_recovery(&world, &pending, renewed[0].expose()).await.unwrap());
    }

    async fn a_recovery_code_of_somebody_else_is_none(test: TestStore) {
        let world = World::new(test.store()).await;
        for name in ["ada", "grace"] {
            world.add(name, Role::Editor).await;
        }
        let (_, ada) = world.enter("ada").await;
        let (_, grace) = world.enter("grace").await;
        set_up_totp(&world, &ada).await;
        let (secret, codes) = set_up_totp(&world, &grace).await;
        let pending = half_way(&world, "ada").await;
        assert_eq!(reason(with_recovery(&world, &pending, &codes[0]).await), "wrong_code");
        assert_eq!(reason(with_totp(&world, &pending, &code(&secret, world.clock.now(), 0)).await), "wrong_code");
    }

    async fn a_login_that_has_begun_ends_after_ten_minutes(test: TestStore) {
        let world = World::new(test.store()).await;
        world.add("ada", Role::Editor).await;
        let (_, ctx) = world.enter("ada").await;
        let (secret, codes) = set_up_totp(&world, &ctx).await;
        let pending = half_way(&world, "ada").await;
        world.clock.advance(Duration::from_secs(600));
        let late = with_totp(&world, &pending, &code(&secret, world.clock.now(), 0)).await;
        assert_eq!(reason(late), "login_expired");
        assert_eq!(reason(with_recovery(&world, &pending, &codes[0]).await), "login_expired");
        for nonsense in ["", "plp_", "plp_0000", "pls_0000", &"p".repeat(10_000)] {
            let tried = world.identity.login_with_totp(&world.system(), nonsense, "123456", Origin::default()).await;
            assert_eq!(reason(tried), "login_expired", "{nonsense}");
        }
    }

    async fn a_secret_counts_only_once_a_code_has_confirmed_it(test: TestStore) {
        let world = World::new(test.store()).await;
        world.add("ada", Role::Editor).await;
        let (_, ctx) = world.enter("ada").await;
        let setup = world.identity.begin_totp(&ctx).await.unwrap();
        assert!(setup.qr_svg.expose().contains("<svg"));
        assert!(setup.address.expose().contains("ada%40example.org"));
        world.login("ada@example.org", PASSWORD).await.unwrap();
        let wrong = refused(world.identity.confirm_totp(&ctx, "000000").await);
        assert_eq!((wrong.code(), wrong.reason()), (Code::Invalid, "wrong_code"));
        assert_eq!(refused(world.identity.confirm_totp(&ctx, "12345").await).field_name(), Some("code"));
        world.clock.advance(Duration::from_secs(15 * 60));
        let late = code(setup.secret.expose(), world.clock.now(), 0);
        assert_eq!(reason(world.identity.confirm_totp(&ctx, &late).await), "totp_setup_expired");
    }

    async fn another_authenticator_takes_the_place_of_the_first(test: TestStore) {
        let world = World::new(test.store()).await;
        world.add("ada", Role::Editor).await;
        let (_, ctx) = world.enter("ada").await;
        let (first, codes) = set_up_totp(&world, &ctx).await;
        let setup = world.identity.begin_totp(&ctx).await.unwrap();
        // Until it is confirmed the first one is the one in use.
        let pending = half_way(&world, "ada").await;
        done(with_totp(&world, &pending, &code(&first, world.clock.now(), 0)).await.unwrap());
        let second = setup.secret.expose();
        let enrolled = world.identity.confirm_totp(&ctx, &code(second, world.clock.now(), 0)).await.unwrap();
        assert!(enrolled.recovery_codes.is_none(), "those from before are good still");
        world.clock.advance(STEP);
        let pending = half_way(&world, "ada").await;
        assert_eq!(reason(with_totp(&world, &pending, &code(&first, world.clock.now(), 0)).await), "wrong_code");
        done(with_totp(&world, &pending, &code(second, world.clock.now(), 0)).await.unwrap());
        let pending = half_way(&world, "ada").await;
        done(with_recovery(&world, &pending, &codes[0]).await.unwrap());
    }

    async fn taking_a_factor_away_needs_a_recent_proof(test: TestStore) {
        let world = World::new(test.store()).await;
        let ada = world.add("ada", Role::Editor).await;
        let (_, ctx) = world.enter("ada").await;
        assert_eq!(reason(world.identity.remove_totp(&ctx).await), "totp_not_found");
        assert_eq!(reason(world.identity.renew_recovery_codes(&ctx).await), "no_second_factor");
        let (_, codes) = set_up_totp(&world, &ctx).await;
        world.clock.advance(Duration::from_secs(11 * 60));
        assert_eq!(reason(world.identity.remove_totp(&ctx).await), "step_up_required");
        assert_eq!(reason(world.identity.renew_recovery_codes(&ctx).await), "step_up_required");
        assert_eq!(reason(world.identity.begin_totp(&ctx).await), "step_up_required");
        let pending = half_way(&world, "ada").await;
        let fresh = done(with_recovery(&world, &pending, &codes[0]).await.unwrap());
        let ctx = world.identity.authenticate(fresh.token.expose()).await.unwrap().ctx;
        world.identity.remove_totp(&ctx).await.unwrap();
        assert_eq!(world.count_events(&world.owner, "identity.factor.removed", ada.id).await, 1);
        world.login("ada@example.org", PASSWORD).await.unwrap();
        // Recovery codes stand for nothing any more.
        assert_eq!(world.identity.security_overview(&ctx).await.unwrap().recovery_codes, 0);
    }

    async fn the_last_factor_stays_where_one_is_required(test: TestStore) {
        let world = World::new(test.store()).await;
        let owner = world.owner.clone();
        set_up_totp(&world, &owner).await;
        let policy = LoginPolicy { mfa_required: true, ..LoginPolicy::default() };
        world.identity.set_login_policy(&owner, policy, None).await.unwrap();
        assert_eq!(reason(world.identity.remove_totp(&owner).await), "last_factor");
        let overview = world.identity.security_overview(&owner).await.unwrap();
        assert!(overview.mfa_required && overview.totp_since.is_some());
        assert_eq!(overview.may_enroll, [Factor::Passkey, Factor::Totp]);
    }

    async fn an_administrator_helps_who_lost_everything(test: TestStore) {
        let world = World::new(test.store()).await;
        let ada = world.add("ada", Role::Editor).await;
        world.add("carl", Role::Admin).await;
        let (token, ctx) = world.enter("ada").await;
        let (_, admin) = world.enter("carl").await;
        let stranger = second_tenant(&world).await;
        set_up_totp(&world, &ctx).await;
        assert_eq!(reason(world.identity.reset_factors(&ctx, ada.id).await), "forbidden");
        assert_eq!(reason(world.identity.reset_factors(&stranger, ada.id).await), "user_not_found");
        assert_eq!(reason(world.identity.reset_factors(&admin, world.owner_id()).await), "forbidden");
        world.identity.reset_factors(&admin, ada.id).await.unwrap();
        assert!(!world.is_valid(&token).await);
        world.login("ada@example.org", PASSWORD).await.unwrap();
        assert_eq!(world.count_events(&world.owner, "identity.factor.reset", ada.id).await, 1);
    }

    async fn programs_have_no_factors(test: TestStore) {
        let world = World::new(test.store()).await;
        let key = world.identity.create_api_key(&world.owner, all_of(Role::Owner)).await.unwrap().key;
        let ctx = world.identity.authenticate(key.expose()).await.unwrap().ctx;
        assert_eq!(reason(world.identity.begin_totp(&ctx).await), "forbidden");
        assert_eq!(reason(world.identity.security_overview(&ctx).await), "forbidden");
        assert_eq!(reason(world.identity.my_passkeys(&ctx).await), "forbidden");
    }

    async fn neither_secrets_nor_codes_are_stored(test: TestStore) {
        let world = World::new(test.store()).await;
        world.add("ada", Role::Editor).await;
        let (_, ctx) = world.enter("ada").await;
        let (secret, codes) = set_up_totp(&world, &ctx).await;
        let pending = half_way(&world, "ada").await;
        let mut tx = world.store.read(&world.system()).await.unwrap();
        let mut stored = String::new();
        for (sql, column) in [
            ("SELECT secret_sealed AS bytes FROM user_totp", "bytes"),
            ("SELECT code_hash AS bytes FROM recovery_codes", "bytes"),
            ("SELECT token_hash AS bytes FROM pending_logins", "bytes"),
        ] {
            for row in tx.fetch_all(sql, []).await.unwrap() {
                stored.push_str(&String::from_utf8_lossy(&row.get::<Vec<u8>>(column).unwrap()));
            }
        }
        drop(tx);
        stored.push_str(&world.everything_stored().await);
        for hidden in [secret.as_str(), &codes[0], &codes[0][..9], pending.token.expose()] {
            assert!(!stored.contains(hidden), "{hidden} is stored");
        }
    }

    async fn a_deleted_person_leaves_no_factor_behind(test: TestStore) {
        let world = World::new(test.store()).await;
        let ada = world.add("ada", Role::Editor).await;
        let (_, ctx) = world.enter("ada").await;
        set_up_totp(&world, &ctx).await;
        world.identity.delete_user(&world.owner, ada.id).await.unwrap();
        let mut tx = world.store.read(&world.system()).await.unwrap();
        for sql in ["SELECT COUNT(*) AS kept FROM user_totp", "SELECT COUNT(*) AS kept FROM recovery_codes"] {
            assert_eq!(tx.fetch_one(sql, []).await.unwrap().get::<i64>("kept").unwrap(), 0);
        }
    }
}
