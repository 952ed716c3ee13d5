use std::time::Duration;

use plasma_identity::{Ceremony, LoginStep, Need, Passkey, PasskeyAnswer, Proof};
use plasma_kernel::{Code, Ctx, Method, Methods, Origin, Result, Role};
use plasma_testkit::on_each_database;
use serde_json::json;
use url::Url;

use crate::{
    authenticator::{Authenticator, ORIGIN},
    second_factors::half_way,
    support::{World, done, reason, refused},
};

fn base() -> Url {
    Url::parse(ORIGIN).unwrap()
}

/// Registers a passkey, and returns what holds it.
pub async fn register(world: &World, ctx: &Ctx, name: &str) -> (Authenticator, Passkey) {
    let mut authenticator = Authenticator::new();
    let ceremony = world.identity.begin_passkey(ctx, &base()).await.unwrap();
    let answer = authenticator.create(&ceremony);
    let enrolled = world.identity.finish_passkey(ctx, name, &answer, &base()).await.unwrap();
    (authenticator, enrolled.made)
}

async fn challenge(world: &World, pending: Option<&str>) -> Ceremony {
    world.identity.begin_passkey_login(&world.system(), pending, None, &base()).await.unwrap()
}

async fn login(world: &World, pending: Option<&str>, answer: &PasskeyAnswer) -> Result<LoginStep> {
    world.identity.login_with_passkey(&world.system(), pending, answer, &base(), Origin::default()).await
}

on_each_database! {
    async fn a_passkey_logs_in_without_an_email(test: TestStore) {
        let world = World::new(test.store()).await;
        let ada = world.add("ada", Role::Editor).await;
        let (_, ctx) = world.enter("ada").await;
        let ceremony = world.identity.begin_passkey(&ctx, &base()).await.unwrap();
        assert_eq!(ceremony.options["rp"], json!({ "id": "localhost", "name": "Plasma" }));
        assert_eq!(ceremony.options["authenticatorSelection"]["userVerification"], "required");
        assert_eq!(ceremony.options["authenticatorSelection"]["residentKey"], "preferred");
        let mut authenticator = Authenticator::new();
        let answer = authenticator.create(&ceremony);
        let enrolled = world.identity.finish_passkey(&ctx, " My laptop ", &answer, &base()).await.unwrap();
        assert_eq!((enrolled.made.name.as_str(), enrolled.made.last_used_at), ("My laptop", None));
        assert_eq!(enrolled.recovery_codes.unwrap().len(), 10);

        let ceremony = challenge(&world, None).await;
        assert_eq!(ceremony.options["allowCredentials"], json!([]));
        assert_eq!(ceremony.options["userVerification"], "required");
        let logged_in = done(login(&world, None, &authenticator.get(&ceremony)).await.unwrap());
        assert_eq!(logged_in.user.id, ada.id);
        let ctx = world.identity.authenticate(logged_in.token.expose()).await.unwrap().ctx;
        let expected: Methods = [Method::Passkey].into_iter().collect();
        assert_eq!(ctx.authentication().unwrap().methods, expected);
        let known = world.identity.my_passkeys(&ctx).await.unwrap();
        assert_eq!(known[0].last_used_at, Some(world.clock.now()));
    }

    async fn a_passkey_is_a_second_factor(test: TestStore) {
        let world = World::new(test.store()).await;
        for name in ["ada", "grace"] {
            world.add(name, Role::Editor).await;
        }
        let (_, ada) = world.enter("ada").await;
        let (_, grace) = world.enter("grace").await;
        let (mut hers, _) = register(&world, &ada, "hers").await;
        let (mut another, _) = register(&world, &grace, "another").await;
        let pending = half_way(&world, "ada").await;
        assert_eq!(pending.needs, [Need::Passkey, Need::RecoveryCode]);
        let token = Some(pending.token.expose());
        let ceremony = challenge(&world, token).await;
        assert_eq!(ceremony.options["allowCredentials"].as_array().unwrap().len(), 1);
        assert_eq!(reason(login(&world, token, &another.get(&ceremony)).await), "passkey_refused");
        let ceremony = challenge(&world, token).await;
        let logged_in = done(login(&world, token, &hers.get(&ceremony)).await.unwrap());
        let ctx = world.identity.authenticate(logged_in.token.expose()).await.unwrap().ctx;
        let expected: Methods = [Method::Password, Method::Passkey].into_iter().collect();
        assert_eq!(ctx.authentication().unwrap().methods, expected);
    }

    async fn answers_from_elsewhere_are_refused(test: TestStore) {
        let world = World::new(test.store()).await;
        world.add("ada", Role::Editor).await;
        let (_, ctx) = world.enter("ada").await;
        for origin in ["https://evil.example", "http://localhost:9090", "https://localhost:8080", "http://localhost.evil.example:8080"] {
            let mut authenticator = Authenticator::new();
            authenticator.origin = origin.to_owned();
            let ceremony = world.identity.begin_passkey(&ctx, &base()).await.unwrap();
            let made = world.identity.finish_passkey(&ctx, "x", &authenticator.create(&ceremony), &base()).await;
            let error = refused(made);
            assert_eq!((error.code(), error.reason()), (Code::Invalid, "passkey_refused"), "{origin}");
        }
        let (mut authenticator, _) = register(&world, &ctx, "laptop").await;
        authenticator.origin = "https://evil.example".to_owned();
        let ceremony = challenge(&world, None).await;
        assert_eq!(reason(login(&world, None, &authenticator.get(&ceremony)).await), "passkey_refused");
        // A page of another site that shows ours in a frame.
        authenticator.origin = ORIGIN.to_owned();
        authenticator.cross_origin = true;
        let ceremony = challenge(&world, None).await;
        assert_eq!(reason(login(&world, None, &authenticator.get(&ceremony)).await), "passkey_refused");
        // A passkey that was made for another host.
        authenticator.cross_origin = false;
        let mut ceremony = challenge(&world, None).await;
        ceremony.options["rpId"] = json!("evil.example");
        assert_eq!(reason(login(&world, None, &authenticator.get(&ceremony)).await), "passkey_refused");
        let ceremony = challenge(&world, None).await;
        done(login(&world, None, &authenticator.get(&ceremony)).await.unwrap());
    }

    async fn a_ceremony_is_answered_once_in_time_and_for_its_purpose(test: TestStore) {
        let world = World::new(test.store()).await;
        world.add("ada", Role::Editor).await;
        let (_, ctx) = world.enter("ada").await;
        let (mut authenticator, _) = register(&world, &ctx, "laptop").await;

        let ceremony = challenge(&world, None).await;
        world.clock.advance(Duration::from_secs(5 * 60));
        assert_eq!(reason(login(&world, None, &authenticator.get(&ceremony)).await), "ceremony_expired");

        let ceremony = challenge(&world, None).await;
        let answer = authenticator.get(&ceremony);
        done(login(&world, None, &answer).await.unwrap());
        assert_eq!(reason(login(&world, None, &answer).await), "ceremony_expired");

        // A wrong answer uses the challenge up.
        let ceremony = challenge(&world, None).await;
        authenticator.cross_origin = true;
        assert_eq!(reason(login(&world, None, &authenticator.get(&ceremony)).await), "passkey_refused");
        authenticator.cross_origin = false;
        assert_eq!(reason(login(&world, None, &authenticator.get(&ceremony)).await), "ceremony_expired");

        // An answer to one challenge with the token of another.
        let (one, other) = (challenge(&world, None).await, challenge(&world, None).await);
        let mut answer = authenticator.get(&one);
        answer.ceremony = other.token.expose().to_owned();
        assert_eq!(reason(login(&world, None, &answer).await), "passkey_refused");

        // A challenge for a proof is none for a login, and the other way round.
        let proof = world.identity.begin_step_up(&ctx, &base()).await.unwrap();
        assert_eq!(reason(login(&world, None, &authenticator.get(&proof)).await), "ceremony_expired");
        let ceremony = challenge(&world, None).await;
        let step_up = world.identity.step_up(&ctx, Proof::Passkey(authenticator.get(&ceremony)), &base()).await;
        assert_eq!(reason(step_up), "ceremony_expired");
    }

    async fn a_registration_belongs_to_who_began_it(test: TestStore) {
        let world = World::new(test.store()).await;
        for name in ["ada", "grace"] {
            world.add(name, Role::Editor).await;
        }
        let (_, ada) = world.enter("ada").await;
        let (_, grace) = world.enter("grace").await;
        let ceremony = world.identity.begin_passkey(&ada, &base()).await.unwrap();
        let answer = Authenticator::new().create(&ceremony);
        let stolen = world.identity.finish_passkey(&grace, "x", &answer, &base()).await;
        assert_eq!(reason(stolen), "ceremony_expired");
        let ceremony = world.identity.begin_passkey(&ada, &base()).await.unwrap();
        world.clock.advance(Duration::from_secs(5 * 60));
        let late = Authenticator::new().create(&ceremony);
        assert_eq!(reason(world.identity.finish_passkey(&ada, "x", &late, &base()).await), "ceremony_expired");
    }

    async fn user_verification_is_required(test: TestStore) {
        let world = World::new(test.store()).await;
        world.add("ada", Role::Editor).await;
        let (_, ctx) = world.enter("ada").await;
        let mut careless = Authenticator::new();
        careless.verifies = false;
        let ceremony = world.identity.begin_passkey(&ctx, &base()).await.unwrap();
        let made = world.identity.finish_passkey(&ctx, "x", &careless.create(&ceremony), &base()).await;
        assert_eq!(reason(made), "passkey_refused");
        let (mut authenticator, _) = register(&world, &ctx, "laptop").await;
        authenticator.verifies = false;
        let ceremony = challenge(&world, None).await;
        assert_eq!(reason(login(&world, None, &authenticator.get(&ceremony)).await), "passkey_refused");
    }

    async fn a_counter_that_does_not_rise_tells_of_a_copy(test: TestStore) {
        let world = World::new(test.store()).await;
        world.add("ada", Role::Editor).await;
        let (_, ctx) = world.enter("ada").await;
        let (mut authenticator, passkey) = register(&world, &ctx, "laptop").await;
        authenticator.counter = 10;
        let ceremony = challenge(&world, None).await;
        done(login(&world, None, &authenticator.get(&ceremony)).await.unwrap());
        // The copy counts from where it was made.
        authenticator.counter = 4;
        let ceremony = challenge(&world, None).await;
        assert_eq!(reason(login(&world, None, &authenticator.get(&ceremony)).await), "passkey_refused");
        assert_eq!(world.count_events(&world.owner, "identity.passkey.cloned", passkey.id).await, 1);
        authenticator.counter = 11;
        let ceremony = challenge(&world, None).await;
        done(login(&world, None, &authenticator.get(&ceremony)).await.unwrap());
    }

    async fn whoever_answers_must_be_whom_they_name(test: TestStore) {
        let world = World::new(test.store()).await;
        for name in ["ada", "grace"] {
            world.add(name, Role::Editor).await;
        }
        let (_, ada) = world.enter("ada").await;
        let (_, grace) = world.enter("grace").await;
        let (mut hers, _) = register(&world, &ada, "hers").await;
        let (another, _) = register(&world, &grace, "another").await;
        hers.user_handle.clone_from(&another.user_handle);
        let ceremony = challenge(&world, None).await;
        assert_eq!(reason(login(&world, None, &hers.get(&ceremony)).await), "passkey_refused");
        // Nobody at all, in a login that asks who it is.
        hers.user_handle.clear();
        let ceremony = challenge(&world, None).await;
        assert_eq!(reason(login(&world, None, &hers.get(&ceremony)).await), "passkey_refused");
        // One that nobody has kept.
        let mut unknown = Authenticator::new();
        unknown.user_handle.clone_from(&another.user_handle);
        let ceremony = challenge(&world, None).await;
        assert_eq!(reason(login(&world, None, &unknown.get(&ceremony)).await), "passkey_refused");
    }

    async fn several_passkeys_have_names_and_go_one_by_one(test: TestStore) {
        let world = World::new(test.store()).await;
        for name in ["ada", "grace"] {
            world.add(name, Role::Editor).await;
        }
        let (_, ctx) = world.enter("ada").await;
        let (_, grace) = world.enter("grace").await;
        let (mut laptop, first) = register(&world, &ctx, "Laptop").await;
        world.clock.advance(Duration::from_millis(2));
        let (mut phone, second) = register(&world, &ctx, "Phone").await;
        let names = async || {
            world.identity.my_passkeys(&ctx).await.unwrap().into_iter().map(|passkey| passkey.name).collect::<Vec<_>>()
        };
        assert_eq!(names().await, ["Laptop", "Phone"]);
        assert_eq!(world.identity.rename_passkey(&ctx, second.id, "New phone").await.unwrap().name, "New phone");
        assert_eq!(refused(world.identity.rename_passkey(&ctx, second.id, " ").await).field_name(), Some("name"));
        // Nobody touches somebody else's.
        assert_eq!(reason(world.identity.rename_passkey(&grace, second.id, "mine").await), "passkey_not_found");
        assert_eq!(reason(world.identity.remove_passkey(&grace, second.id).await), "passkey_not_found");
        world.identity.remove_passkey(&ctx, first.id).await.unwrap();
        assert_eq!(names().await, ["New phone"]);
        let ceremony = challenge(&world, None).await;
        assert_eq!(reason(login(&world, None, &laptop.get(&ceremony)).await), "passkey_refused");
        let ceremony = challenge(&world, None).await;
        done(login(&world, None, &phone.get(&ceremony)).await.unwrap());
        world.clock.advance(Duration::from_secs(11 * 60));
        assert_eq!(reason(world.identity.remove_passkey(&ctx, second.id).await), "step_up_required");
        assert_eq!(reason(world.identity.begin_passkey(&ctx, &base()).await), "step_up_required");
    }

    async fn one_authenticator_is_kept_once(test: TestStore) {
        let world = World::new(test.store()).await;
        for name in ["ada", "grace"] {
            world.add(name, Role::Editor).await;
        }
        let (_, ada) = world.enter("ada").await;
        let (_, grace) = world.enter("grace").await;
        let (mut authenticator, _) = register(&world, &ada, "laptop").await;
        let ceremony = world.identity.begin_passkey(&ada, &base()).await.unwrap();
        assert_eq!(ceremony.options["excludeCredentials"].as_array().unwrap().len(), 1);
        let again = world.identity.finish_passkey(&ada, "x", &authenticator.create(&ceremony), &base()).await;
        assert_eq!(reason(again), "passkey_refused");
        let ceremony = world.identity.begin_passkey(&grace, &base()).await.unwrap();
        let twice = world.identity.finish_passkey(&grace, "x", &authenticator.create(&ceremony), &base()).await;
        assert_eq!(reason(twice), "passkey_exists");
    }

    async fn a_disabled_person_does_not_get_in_by_passkey(test: TestStore) {
        let world = World::new(test.store()).await;
        let ada = world.add("ada", Role::Editor).await;
        let (_, ctx) = world.enter("ada").await;
        let (mut authenticator, _) = register(&world, &ctx, "laptop").await;
        let disable = plasma_identity::UserChange { disabled: Some(true), ..Default::default() };
        world.identity.update_user(&world.owner, ada.id, disable).await.unwrap();
        let ceremony = challenge(&world, None).await;
        assert_eq!(reason(login(&world, None, &authenticator.get(&ceremony)).await), "user_disabled");
    }

    async fn passkeys_do_not_work_at_an_ip_address(test: TestStore) {
        let world = World::new(test.store()).await;
        let numbers = Url::parse("http://127.0.0.1:8080").unwrap();
        let challenge = world.identity.begin_passkey_login(&world.system(), None, None, &numbers).await;
        assert_eq!(reason(challenge), "passkeys_need_a_name");
    }

    async fn hostile_answers_are_refused(test: TestStore) {
        let world = World::new(test.store()).await;
        world.add("ada", Role::Editor).await;
        let (_, ctx) = world.enter("ada").await;
        let (mut authenticator, _) = register(&world, &ctx, "laptop").await;
        for (place, value) in [
            ("/response/authenticatorData", json!("")),
            ("/response/authenticatorData", json!("AAAA")),
            ("/response/clientDataJSON", json!("e30")),
            ("/response/signature", json!("")),
            ("/rawId", json!("")),
        ] {
            let ceremony = challenge(&world, None).await;
            let mut answer = authenticator.get(&ceremony);
            *answer.credential.pointer_mut(place).unwrap() = value;
            assert_eq!(refused(login(&world, None, &answer).await).code(), Code::Unauthenticated, "{place}");
        }
        for credential in [json!(null), json!([]), json!({ "id": 1 }), json!("x")] {
            let ceremony = challenge(&world, None).await;
            let answer = PasskeyAnswer { ceremony: ceremony.token.expose().to_owned(), credential };
            assert_eq!(refused(login(&world, None, &answer).await).code(), Code::Invalid);
        }
    }
}
