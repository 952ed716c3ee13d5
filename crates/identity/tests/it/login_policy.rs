use std::{net::IpAddr, time::Duration};

use plasma_identity::{Factor, Login, LoginPolicy, LoginStep, Need, PendingLogin};
use plasma_kernel::{Code, Ctx, Method, Methods, Origin, Result, Role};
use plasma_testkit::on_each_database;
use url::Url;

use crate::{
    authenticator::{Authenticator, ORIGIN, code},
    second_factors::{half_way, set_up_totp},
    support::{DAY, OWNER, PASSWORD, World, all_of, done, reason, refused, secret},
};

const HOUR_MICROS: i64 = 3_600_000_000;

fn only(methods: &[Method]) -> Methods {
    methods.iter().copied().collect()
}

async fn set(world: &World, policy: LoginPolicy) -> LoginPolicy {
    world.identity.set_login_policy(&world.owner, policy, None).await.unwrap()
}

async fn from(world: &World, address: &str) -> Result<LoginStep> {
    let origin = Origin { address: Some(address.parse::<IpAddr>().unwrap()), user_agent: None };
    let login = Login { email: "ada@example.org".to_owned(), password: secret(PASSWORD), origin };
    world.identity.login(&world.system(), login).await
}

async fn enroll_totp(world: &World, pending: &PendingLogin) -> Result<LoginStep> {
    let system = world.system();
    let setup = world.identity.enroll_totp(&system, pending.token.expose()).await?;
    let code = code(setup.secret.expose(), world.clock.now(), 0);
    let enrolled =
        world.identity.finish_enrolling_totp(&system, pending.token.expose(), &code, Origin::default()).await?;
    Ok(enrolled.made)
}

on_each_database! {
    async fn the_default_policy_allows_everything_for_a_month(test: TestStore) {
        let world = World::new(test.store()).await;
        let policy = world.identity.login_policy(&world.owner).await.unwrap();
        assert_eq!(policy, LoginPolicy::default());
        assert_eq!((policy.session_micros, policy.idle_micros), (30 * 24 * HOUR_MICROS, 7 * 24 * HOUR_MICROS));
        let put = LoginPolicy { session_micros: HOUR_MICROS, idle_micros: HOUR_MICROS, ..LoginPolicy::default() };
        let kept = set(&world, put).await;
        assert_eq!(kept.updated_at, Some(world.clock.now()));
        assert_eq!(world.identity.login_policy(&world.owner).await.unwrap(), kept);
        let tenant = world.owner.tenant().unwrap();
        assert_eq!(world.count_events(&world.owner, "identity.login_policy.updated", tenant).await, 1);
    }

    async fn only_owners_change_it_and_administrators_see_it(test: TestStore) {
        let world = World::new(test.store()).await;
        for (name, role) in [("carl", Role::Admin), ("vera", Role::Viewer)] {
            world.add(name, role).await;
        }
        let (_, admin) = world.enter("carl").await;
        let (_, viewer) = world.enter("vera").await;
        world.identity.login_policy(&admin).await.unwrap();
        assert_eq!(reason(world.identity.login_policy(&viewer).await), "forbidden");
        assert_eq!(reason(world.identity.set_login_policy(&admin, LoginPolicy::default(), None).await), "forbidden");
    }

    async fn a_required_factor_may_wait_for_the_grace(test: TestStore) {
        let world = World::new(test.store()).await;
        world.add("ada", Role::Editor).await;
        let (before, _) = world.enter("ada").await;
        let grace = 24 * HOUR_MICROS;
        set(&world, LoginPolicy { mfa_required: true, mfa_grace_micros: grace, ..LoginPolicy::default() }).await;
        let due_at = world.clock.now() + grace;
        assert_eq!(world.login("ada@example.org", PASSWORD).await.unwrap().enroll_by, Some(due_at));
        world.clock.advance(DAY - Duration::from_micros(1));
        assert!(world.is_valid(&before).await, "a session from before lasts as long as the grace");
        world.login("ada@example.org", PASSWORD).await.unwrap();
        world.clock.advance(Duration::from_micros(1));
        assert!(!world.is_valid(&before).await);
        let pending = half_way(&world, "ada").await;
        assert_eq!((pending.needs.as_slice(), pending.may_enroll.as_slice()), (&[Need::Enroll][..], &[Factor::Passkey, Factor::Totp][..]));
    }

    async fn without_a_grace_it_is_set_up_in_the_middle_of_the_login(test: TestStore) {
        let world = World::new(test.store()).await;
        for name in ["ada", "grace"] {
            world.add(name, Role::Editor).await;
        }
        set(&world, LoginPolicy { mfa_required: true, ..LoginPolicy::default() }).await;
        let pending = half_way(&world, "ada").await;
        let system = world.system();
        let setup = world.identity.enroll_totp(&system, pending.token.expose()).await.unwrap();
        let confirm = async |code: &str| {
            world.identity.finish_enrolling_totp(&system, pending.token.expose(), code, Origin::default()).await
        };
        assert_eq!(reason(confirm("000000").await), "wrong_code");
        let enrolled = confirm(&code(setup.secret.expose(), world.clock.now(), 0)).await.unwrap();
        assert_eq!(enrolled.recovery_codes.unwrap().len(), 10);
        let logged_in = done(enrolled.made);
        let ctx = world.identity.authenticate(logged_in.token.expose()).await.unwrap().ctx;
        assert_eq!(ctx.authentication().unwrap().methods, only(&[Method::Password, Method::Totp]));

        let pending = half_way(&world, "grace").await;
        let base = Url::parse(ORIGIN).unwrap();
        let ceremony = world.identity.enroll_passkey(&system, pending.token.expose(), &base).await.unwrap();
        let answer = Authenticator::new().create(&ceremony);
        let token = pending.token.expose();
        let enrolled = world.identity.finish_enrolling_passkey(&system, token, "Laptop", &answer, &base, Origin::default()).await;
        let logged_in = done(enrolled.unwrap().made);
        let ctx = world.identity.authenticate(logged_in.token.expose()).await.unwrap().ctx;
        assert_eq!(world.identity.my_passkeys(&ctx).await.unwrap()[0].name, "Laptop");
    }

    async fn setting_up_a_factor_is_no_way_around_one(test: TestStore) {
        let world = World::new(test.store()).await;
        for name in ["ada", "grace"] {
            world.add(name, Role::Editor).await;
        }
        let (_, ctx) = world.enter("ada").await;
        set_up_totp(&world, &ctx).await;
        set(&world, LoginPolicy { mfa_required: true, ..LoginPolicy::default() }).await;
        // Whoever has a factor must use it.
        let pending = half_way(&world, "ada").await;
        assert_eq!(reason(enroll_totp(&world, &pending).await), "login_expired");
        let base = Url::parse(ORIGIN).unwrap();
        assert_eq!(reason(world.identity.enroll_passkey(&world.system(), pending.token.expose(), &base).await), "login_expired");
        // Of two who come with the right password, the second must use what the first has set up.
        let (first, second) = (half_way(&world, "grace").await, half_way(&world, "grace").await);
        done(enroll_totp(&world, &first).await.unwrap());
        assert_eq!(reason(enroll_totp(&world, &second).await), "login_expired");
        assert_eq!(half_way(&world, "grace").await.needs, [Need::Totp, Need::RecoveryCode]);
    }

    async fn a_factor_that_does_not_count_is_not_set_up(test: TestStore) {
        let world = World::new(test.store()).await;
        world.add("ada", Role::Editor).await;
        let methods = only(&[Method::Password, Method::Passkey]);
        set(&world, LoginPolicy { mfa_required: true, methods, ..LoginPolicy::default() }).await;
        let pending = half_way(&world, "ada").await;
        assert_eq!(pending.may_enroll, [Factor::Passkey]);
        assert_eq!(reason(enroll_totp(&world, &pending).await), "forbidden");
    }

    async fn a_method_that_is_not_allowed_is_refused_and_told(test: TestStore) {
        let world = World::new(test.store()).await;
        let ada = world.add("ada", Role::Editor).await;
        let (token, _) = world.enter("ada").await;
        let key = world.identity.create_api_key(&world.owner, all_of(Role::Owner)).await.unwrap().key;
        let program = world.identity.authenticate(key.expose()).await.unwrap().ctx;
        let policy = LoginPolicy { methods: only(&[Method::Passkey, Method::SingleSignOn]), ..LoginPolicy::default() };
        // Whoever logged in with a password would lock themselves out; a program would not.
        let own = refused(world.identity.set_login_policy(&world.owner, policy.clone(), None).await);
        assert_eq!(own.field_name(), Some("methods"));
        world.identity.set_login_policy(&program, policy, None).await.unwrap();
        let error = refused(world.login("ada@example.org", PASSWORD).await);
        assert_eq!((error.code(), error.reason()), (Code::Forbidden, "login_method_not_allowed"));
        assert_eq!(world.count_events(&world.owner, "identity.login.refused", ada.id).await, 1);
        // Only who knows the password learns it.
        assert_eq!(reason(world.login("ada@example.org", "wrong horse battery").await), "login_failed");
        // Sessions that began in this way are over.
        assert!(!world.is_valid(&token).await);
    }

    async fn addresses_outside_of_the_ranges_are_kept_out(test: TestStore) {
        let world = World::new(test.store()).await;
        world.add("ada", Role::Editor).await;
        let ip_ranges = vec!["192.0.2.0/24".parse().unwrap()];
        let policy = LoginPolicy { ip_ranges, ..LoginPolicy::default() };
        let elsewhere = Some(IpAddr::from([198, 51, 100, 7]));
        let lockout = refused(world.identity.set_login_policy(&world.owner, policy.clone(), elsewhere).await);
        assert_eq!(lockout.field_name(), Some("ip_ranges"));
        assert!(lockout.remedy_text().unwrap().contains("198.51.100.7"));
        let here = Some(IpAddr::from([192, 0, 2, 9]));
        world.identity.set_login_policy(&world.owner, policy, here).await.unwrap();
        let outside = refused(from(&world, "198.51.100.7").await);
        assert_eq!((outside.code(), outside.reason()), (Code::Forbidden, "address_not_allowed"));
        let logged_in = done(from(&world, "192.0.2.1").await.unwrap());
        // A stolen token is of no use elsewhere.
        let token = logged_in.token.expose();
        assert!(world.identity.authenticate_from(token, here).await.is_ok());
        assert_eq!(reason(world.identity.authenticate_from(token, elsewhere).await), "address_not_allowed");
    }

    async fn sessions_last_as_long_as_the_policy_says(test: TestStore) {
        let world = World::new(test.store()).await;
        world.add("ada", Role::Editor).await;
        let (before, _) = world.enter("ada").await;
        let policy = LoginPolicy { session_micros: 4 * HOUR_MICROS, idle_micros: HOUR_MICROS, ..LoginPolicy::default() };
        set(&world, policy).await;
        let logged_in = world.login("ada@example.org", PASSWORD).await.unwrap();
        let token = logged_in.token.expose();
        assert_eq!(logged_in.expires_at, world.clock.now() + 4 * HOUR_MICROS);
        let minutes = |minutes: u64| world.clock.advance(Duration::from_secs(minutes * 60));
        minutes(59);
        assert!(world.is_valid(token).await && world.is_valid(&before).await);
        for _ in 0..3 {
            minutes(59);
            assert!(world.is_valid(token).await);
        }
        // 3 h 56 min old.
        assert!(!world.is_valid(&before).await, "nobody used it for an hour");
        minutes(4);
        assert!(!world.is_valid(token).await);
    }

    async fn the_session_that_changes_the_policy_stays(test: TestStore) {
        let world = World::new(test.store()).await;
        let token = world.login(OWNER, PASSWORD).await.unwrap().token;
        let ctx: Ctx = world.identity.authenticate(token.expose()).await.unwrap().ctx;
        let other = world.login(OWNER, PASSWORD).await.unwrap().token;
        let policy = LoginPolicy { mfa_required: true, ..LoginPolicy::default() };
        world.identity.set_login_policy(&ctx, policy, None).await.unwrap();
        assert!(world.is_valid(token.expose()).await);
        assert!(!world.is_valid(other.expose()).await);
    }
}
