use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use plasma_identity::{NewApiKey, UserChange};
use plasma_kernel::{Actor, Code, Permission, Permissions, Role};
use plasma_testkit::on_each_database;

use crate::support::{World, all_of, only, page, reason, refused};

on_each_database! {
    async fn a_key_acts_in_its_role(test: TestStore) {
        let world = World::new(test.store()).await;
        let created = world.identity.create_api_key(&world.owner, all_of(Role::Service)).await.unwrap();
        let key = created.key.expose();
        assert!(key.starts_with("plk_") && key.len() == 62);
        assert_eq!(created.api_key.prefix, key[..12]);
        assert_eq!(created.api_key.created_by, world.owner_id());

        let authenticated = world.identity.authenticate(key).await.unwrap();
        assert_eq!(authenticated.ctx.actor(), &Actor::ApiKey { id: created.api_key.id });
        assert_eq!(authenticated.ctx.tenant().unwrap(), world.owner.tenant().unwrap());
        assert_eq!(*authenticated.ctx.permissions(), Role::Service.permissions());
        assert_eq!(authenticated.session, None);
        let me = world.identity.me(&authenticated.ctx).await.unwrap();
        assert_eq!((me.name.as_str(), me.role, me.user), ("test", Role::Service, None));

        let listed = world.identity.api_keys(&world.owner, &page()).await.unwrap().data;
        assert_eq!(listed.as_slice(), std::slice::from_ref(&created.api_key));
        assert_eq!(world.count_events(&world.owner, "identity.api_key.created", created.api_key.id).await, 1);
    }

    async fn scopes_narrow_a_key(test: TestStore) {
        let world = World::new(test.store()).await;
        let new = only(Role::Editor, &[Permission::SearchQuery, Permission::CollectionsRead]);
        let created = world.identity.create_api_key(&world.owner, new).await.unwrap();
        let ctx = world.identity.authenticate(created.key.expose()).await.unwrap().ctx;
        let expected: Permissions = [Permission::SearchQuery, Permission::CollectionsRead].into_iter().collect();
        assert_eq!(*ctx.permissions(), expected);

        let too_wide = refused(world.identity.create_api_key(&world.owner, only(Role::Viewer, &[Permission::ContentWrite])).await);
        assert_eq!((too_wide.code(), too_wide.field_name()), (Code::Invalid, Some("scopes")));
        let none = refused(world.identity.create_api_key(&world.owner, only(Role::Viewer, &[])).await);
        assert_eq!((none.code(), none.field_name()), (Code::Invalid, Some("scopes")));
    }

    async fn nobody_makes_a_key_that_may_more_than_they(test: TestStore) {
        let world = World::new(test.store()).await;
        world.add("ada", Role::Admin).await;
        let (_, admin) = world.enter("ada").await;
        assert_eq!(reason(world.identity.create_api_key(&admin, all_of(Role::Owner)).await), "forbidden");
        assert_eq!(reason(world.identity.create_api_key(&admin, only(Role::Owner, &[Permission::TenantsWrite])).await), "forbidden");
        assert_eq!(reason(world.identity.create_api_key(&admin, only(Role::Owner, &[Permission::InstallationRead])).await), "forbidden");
        world.identity.create_api_key(&admin, all_of(Role::Admin)).await.unwrap();

        // A narrow key cannot make a wide one, though the person behind it could.
        let narrow = only(Role::Owner, &[Permission::ApiKeysWrite, Permission::SearchQuery]);
        let narrow = world.identity.create_api_key(&world.owner, narrow).await.unwrap().key;
        let narrow = world.identity.authenticate(narrow.expose()).await.unwrap().ctx;
        assert_eq!(reason(world.identity.create_api_key(&narrow, all_of(Role::Viewer)).await), "forbidden");
        let child = world.identity.create_api_key(&narrow, only(Role::Viewer, &[Permission::SearchQuery])).await.unwrap();
        assert_eq!(child.api_key.created_by, world.owner_id());
    }

    async fn installation_permissions_come_only_from_an_operator_who_gives_them(test: TestStore) {
        let world = World::new(test.store()).await;
        let permissions = async |key: &plasma_identity::CreatedApiKey| {
            *world.identity.authenticate(key.key.expose()).await.unwrap().ctx.permissions()
        };
        let whole = world.identity.create_api_key(&world.owner, all_of(Role::Owner)).await.unwrap();
        assert_eq!(permissions(&whole).await, Permissions::all());
        let metrics = only(Role::Owner, &[Permission::InstallationRead]);
        let metrics = world.identity.create_api_key(&world.owner, metrics).await.unwrap();
        assert_eq!(permissions(&metrics).await, Permissions::none().with(Permission::InstallationRead));
        let admin = world.identity.create_api_key(&world.owner, all_of(Role::Admin)).await.unwrap();
        assert_eq!(permissions(&admin).await, Role::Admin.permissions());

        // An operator's key without them cannot win them back through a key of its own.
        let scopes: Vec<_> = Role::Owner.permissions().iter().collect();
        let tenant_only = world.identity.create_api_key(&world.owner, only(Role::Owner, &scopes)).await.unwrap();
        let ctx = world.identity.authenticate(tenant_only.key.expose()).await.unwrap().ctx;
        let child = world.identity.create_api_key(&ctx, all_of(Role::Owner)).await.unwrap();
        assert_eq!(permissions(&child).await, Role::Owner.permissions());
    }

    async fn a_key_expires_by_the_clock(test: TestStore) {
        let world = World::new(test.store()).await;
        let expires_at = Some(world.clock.now() + 60_000_000);
        let created = world.identity.create_api_key(&world.owner, NewApiKey { expires_at, ..all_of(Role::Viewer) }).await.unwrap();
        assert!(world.is_valid(created.key.expose()).await);
        world.clock.advance(Duration::from_micros(59_999_999));
        assert!(world.is_valid(created.key.expose()).await);
        world.clock.advance(Duration::from_micros(1));
        assert_eq!(reason(world.identity.authenticate(created.key.expose()).await), "api_key_expired");
        let past = NewApiKey { expires_at: Some(world.clock.now()), ..all_of(Role::Viewer) };
        assert_eq!(refused(world.identity.create_api_key(&world.owner, past).await).field_name(), Some("expires_at"));
    }

    async fn a_revoked_key_is_refused_at_once_under_load(test: TestStore) {
        let world = Arc::new(World::new(test.store()).await);
        for _ in 0..10 {
            let created = world.identity.create_api_key(&world.owner, all_of(Role::Viewer)).await.unwrap();
            let key = created.key.expose().to_owned();
            let stop = Arc::new(AtomicBool::new(false));
            let callers: Vec<_> = (0..4)
                .map(|_| {
                    let (world, key, stop) = (Arc::clone(&world), key.clone(), Arc::clone(&stop));
                    tokio::spawn(async move {
                        while !stop.load(Ordering::SeqCst) {
                            let _ = world.identity.authenticate(&key).await;
                            tokio::task::yield_now().await;
                        }
                    })
                })
                .collect();
            // No pause: some loads of the key run while it is revoked.
            world.identity.revoke_api_key(&world.owner, created.api_key.id).await.unwrap();
            for _ in 0..100 {
                assert!(!world.is_valid(&key).await);
            }
            stop.store(true, Ordering::SeqCst);
            for caller in callers {
                caller.await.unwrap();
            }
            // Again is fine and tells nothing new.
            world.identity.revoke_api_key(&world.owner, created.api_key.id).await.unwrap();
            assert_eq!(world.count_events(&world.owner, "identity.api_key.revoked", created.api_key.id).await, 1);
        }
    }

    async fn another_process_refuses_a_revoked_key_within_five_seconds(test: TestStore) {
        let world = World::new(test.store()).await;
        let other = world.other_process(test.open_again().await);
        let created = world.identity.create_api_key(&world.owner, all_of(Role::Viewer)).await.unwrap();
        other.authenticate(created.key.expose()).await.unwrap();
        world.identity.revoke_api_key(&world.owner, created.api_key.id).await.unwrap();
        let revoked = Instant::now();
        while other.authenticate(created.key.expose()).await.is_ok() {
            assert!(revoked.elapsed() < Duration::from_millis(5_500), "still valid after {:?}", revoked.elapsed());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn a_key_never_outlives_or_outgrows_its_creator(test: TestStore) {
        let world = World::new(test.store()).await;
        let ada = world.add("ada", Role::Admin).await;
        let (_, ctx) = world.enter("ada").await;
        let created = world.identity.create_api_key(&ctx, all_of(Role::Admin)).await.unwrap();
        let demote = UserChange { role: Some(Role::Viewer), ..UserChange::default() };
        world.identity.update_user(&world.owner, ada.id, demote).await.unwrap();
        let authenticated = world.identity.authenticate(created.key.expose()).await.unwrap();
        assert_eq!(*authenticated.ctx.permissions(), Role::Viewer.permissions());

        world.identity.delete_user(&world.owner, ada.id).await.unwrap();
        assert!(!world.is_valid(created.key.expose()).await);
        let listed = world.identity.api_keys(&world.owner, &page()).await.unwrap().data;
        assert_eq!(listed[0].revoked_at, Some(world.clock.now()));
    }

    async fn a_known_token_is_answered_without_the_database(test: TestStore) {
        let world = World::new(test.store()).await;
        let created = world.identity.create_api_key(&world.owner, all_of(Role::Viewer)).await.unwrap();
        assert!(world.is_valid(created.key.expose()).await);
        assert!(!world.is_valid("plk_unknown").await);
        test.close().await;
        let started = Instant::now();
        for _ in 0..10_000 {
            assert!(world.is_valid(created.key.expose()).await);
        }
        assert!(started.elapsed() < Duration::from_secs(2), "10,000 took {:?}", started.elapsed());
        // An unknown token is remembered as such too, and what was never seen needs the database.
        assert_eq!(refused(world.identity.authenticate("plk_unknown").await).code(), Code::Unauthenticated);
        assert_eq!(refused(world.identity.authenticate("plk_another").await).code(), Code::Unavailable);
        assert_eq!(refused(world.identity.authenticate("not a token").await).code(), Code::Unauthenticated);
    }

    async fn the_last_use_is_written_in_the_background(test: TestStore) {
        let world = World::new(test.store()).await;
        let created = world.identity.create_api_key(&world.owner, all_of(Role::Viewer)).await.unwrap();
        let last_used_at = async || world.identity.api_keys(&world.owner, &page()).await.unwrap().data[0].last_used_at;
        assert_eq!(last_used_at().await, None);
        let first_use_at = world.clock.now();
        for _ in 0..100 {
            assert!(world.is_valid(created.key.expose()).await);
        }
        let started = Instant::now();
        while last_used_at().await.is_none() {
            assert!(started.elapsed() < Duration::from_secs(5), "the use was never written");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(last_used_at().await, Some(first_use_at));
        world.clock.advance(Duration::from_secs(30));
        assert!(world.is_valid(created.key.expose()).await);
        world.identity.flush().await.unwrap();
        assert_eq!(last_used_at().await, Some(first_use_at));
        world.clock.advance(Duration::from_secs(30));
        assert!(world.is_valid(created.key.expose()).await);
        world.identity.flush().await.unwrap();
        assert_eq!(last_used_at().await, Some(first_use_at + 60_000_000));
    }
}
