use std::time::Duration;

use plasma_identity::{Proof, StepUpMethods, UserChange};
use plasma_kernel::{Code, Role};
use plasma_testkit::on_each_database;
use url::Url;

use crate::{
    authenticator::{ORIGIN, code},
    passkeys::register,
    second_factors::set_up_totp,
    support::{PASSWORD, World, all_of, reason, refused, secret},
};

const LATER: Duration = Duration::from_secs(11 * 60);

fn base() -> Url {
    Url::parse(ORIGIN).unwrap()
}

on_each_database! {
    async fn dangerous_actions_need_a_recent_proof(test: TestStore) {
        let world = World::new(test.store()).await;
        let ada = world.add("ada", Role::Editor).await;
        let role = || UserChange { role: Some(Role::Viewer), ..UserChange::default() };
        world.clock.advance(LATER);
        let owner = &world.owner;
        assert_eq!(refused(world.identity.create_api_key(owner, all_of(Role::Viewer)).await).code(), Code::Forbidden);
        assert_eq!(reason(world.identity.create_api_key(owner, all_of(Role::Viewer)).await), "step_up_required");
        assert_eq!(reason(world.identity.update_user(owner, ada.id, role()).await), "step_up_required");
        assert_eq!(reason(world.identity.delete_user(owner, ada.id).await), "step_up_required");
        assert_eq!(reason(world.identity.reset_factors(owner, ada.id).await), "step_up_required");
        let policy = plasma_identity::LoginPolicy::default();
        assert_eq!(reason(world.identity.set_login_policy(owner, policy, None).await), "step_up_required");
        // What is not dangerous goes on.
        let name = UserChange { name: Some("Ada L.".to_owned()), ..UserChange::default() };
        world.identity.update_user(owner, ada.id, name).await.unwrap();

        let stepped_up = world.identity.step_up(owner, Proof::Password(secret(PASSWORD)), &base()).await.unwrap();
        let fresh = world.identity.authenticate(stepped_up.token.expose()).await.unwrap().ctx;
        world.identity.create_api_key(&fresh, all_of(Role::Viewer)).await.unwrap();
        world.identity.update_user(&fresh, ada.id, role()).await.unwrap();
        world.clock.advance(Duration::from_secs(10 * 60));
        world.identity.delete_user(&fresh, ada.id).await.unwrap();
        world.clock.advance(Duration::from_micros(1));
        assert_eq!(reason(world.identity.create_api_key(&fresh, all_of(Role::Viewer)).await), "step_up_required");
    }

    async fn programs_pass(test: TestStore) {
        let world = World::new(test.store()).await;
        let ada = world.add("ada", Role::Editor).await;
        let key = world.identity.create_api_key(&world.owner, all_of(Role::Owner)).await.unwrap().key;
        world.clock.advance(LATER);
        let ctx = world.identity.authenticate(key.expose()).await.unwrap().ctx;
        world.identity.create_api_key(&ctx, all_of(Role::Viewer)).await.unwrap();
        world.identity.delete_user(&ctx, ada.id).await.unwrap();
        let proof = world.identity.step_up(&ctx, Proof::Password(secret(PASSWORD)), &base()).await;
        assert_eq!(refused(proof).code(), Code::Forbidden);
    }

    async fn the_session_keeps_its_id_and_gets_a_new_token(test: TestStore) {
        let world = World::new(test.store()).await;
        world.add("ada", Role::Editor).await;
        let (old, ctx) = world.enter("ada").await;
        let session = ctx.authentication().unwrap().session;
        world.clock.advance(LATER);
        let stepped_up = world.identity.step_up(&ctx, Proof::Password(secret(PASSWORD)), &base()).await.unwrap();
        assert_eq!(stepped_up.session, session);
        assert_ne!(stepped_up.token.expose(), old);
        let fresh = world.identity.authenticate(stepped_up.token.expose()).await.unwrap();
        assert_eq!(fresh.session, Some(session));
        assert!(fresh.ctx.require_recent_authentication().is_ok());
        // Requests that were on their way still arrive, but the old token proves nothing.
        let before = world.identity.authenticate(&old).await.unwrap();
        assert_eq!(before.session, Some(session));
        assert!(before.ctx.require_recent_authentication().is_err());
        world.clock.advance(Duration::from_secs(10));
        assert!(!world.is_valid(&old).await);
        assert!(world.other_process(test.store()).authenticate(&old).await.is_err());
        assert!(world.is_valid(stepped_up.token.expose()).await);
        // Logging out with it ends the session.
        world.identity.logout(&fresh.ctx, stepped_up.token.expose()).await.unwrap();
        assert!(!world.is_valid(stepped_up.token.expose()).await);
    }

    async fn every_login_has_a_token_and_a_session_of_its_own(test: TestStore) {
        let world = World::new(test.store()).await;
        world.add("ada", Role::Editor).await;
        let (one, first) = world.enter("ada").await;
        let (other, second) = world.enter("ada").await;
        assert_ne!(one, other);
        assert_ne!(first.authentication().unwrap().session, second.authentication().unwrap().session);
    }

    async fn a_wrong_proof_is_none_and_is_throttled(test: TestStore) {
        let world = World::new(test.store()).await;
        let ada = world.add("ada", Role::Editor).await;
        let (token, ctx) = world.enter("ada").await;
        let mut last = Code::Invalid;
        for guess in 0..11 {
            let proof = Proof::Password(secret(&format!("wrong horse battery {guess}")));
            let error = refused(world.identity.step_up(&ctx, proof, &base()).await);
            if guess == 0 {
                assert_eq!((error.code(), error.reason(), error.field_name()), (Code::Invalid, "wrong_password", Some("password")));
            }
            last = error.code();
        }
        assert_eq!(last, Code::RateLimited);
        assert!(world.is_valid(&token).await, "the session does not end by it");
        assert_eq!(world.count_events(&world.owner, "identity.proof.failed", ada.id).await, 4);
        assert_eq!(reason(world.identity.step_up(&ctx, Proof::Totp("123456".to_owned()), &base()).await), "wrong_code");
        assert_eq!(reason(world.identity.step_up(&ctx, Proof::Totp("12".to_owned()), &base()).await), "invalid");
    }

    async fn a_code_or_a_passkey_proves_it_too(test: TestStore) {
        let world = World::new(test.store()).await;
        world.add("ada", Role::Editor).await;
        let (_, ctx) = world.enter("ada").await;
        let only_password = StepUpMethods { password: true, totp: false, passkey: false };
        assert_eq!(world.identity.step_up_methods(&ctx).await.unwrap(), only_password);
        let (totp, _) = set_up_totp(&world, &ctx).await;
        let (mut authenticator, _) = register(&world, &ctx, "laptop").await;
        let all = StepUpMethods { password: true, totp: true, passkey: true };
        assert_eq!(world.identity.step_up_methods(&ctx).await.unwrap(), all);
        let shown = code(&totp, world.clock.now(), 0);
        world.identity.step_up(&ctx, Proof::Totp(shown.clone()), &base()).await.unwrap();
        // A code that was used here is of no use at a login, nor here again.
        assert_eq!(reason(world.identity.step_up(&ctx, Proof::Totp(shown), &base()).await), "wrong_code");
        let ceremony = world.identity.begin_step_up(&ctx, &base()).await.unwrap();
        let proof = Proof::Passkey(authenticator.get(&ceremony));
        let stepped_up = world.identity.step_up(&ctx, proof.clone(), &base()).await.unwrap();
        let fresh = world.identity.authenticate(stepped_up.token.expose()).await.unwrap().ctx;
        assert!(fresh.authentication().unwrap().methods.is_multi_factor());
        assert_eq!(reason(world.identity.step_up(&fresh, proof, &base()).await), "ceremony_expired");
    }
}
