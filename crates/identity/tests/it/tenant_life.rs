//! Suspending, deleting with a grace period, taking it back, erasing.

use std::time::{Duration, Instant};

use plasma_identity::TenantState;
use plasma_kernel::{Code, Ctx, Role, TenantId};
use plasma_store::NewEvent;
use plasma_testkit::on_each_database;
use plasma_workflows::Workflows;

use crate::{
    isolation::second_tenant,
    support::{DAY, PASSWORD, World, all_of, page, reason, refused, secret},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the background steps for as long as it is kept.
pub async fn worker(world: &World) -> Workflows {
    let workflows = Workflows::new(world.store.clone(), world.system());
    world.identity.register_tenant_steps(&workflows);
    workflows.start(true).await.unwrap();
    workflows
}

async fn state(world: &World, id: TenantId) -> Option<TenantState> {
    world.identity.tenant(&world.owner, id).await.ok().map(|tenant| tenant.state)
}

/// Rows of every table that the tenant has.
async fn rows(world: &World, ctx: &Ctx) -> u64 {
    let mut tx = world.store.read(ctx).await.unwrap();
    let mut rows = 0;
    for table in tx.tenant_tables().await.unwrap() {
        rows += tx.count_tenant_rows(&table).await.unwrap();
    }
    rows
}

on_each_database! {
    async fn a_suspended_tenant_lets_nobody_in_but_its_owner_to_look(test: TestStore) {
        let world = World::new(test.store()).await;
        let bea = second_tenant(&world).await;
        let id = bea.tenant().unwrap();
        world.add_by(&bea, "cara", Role::Admin).await.unwrap();
        let (owner_token, _) = world.enter("bea").await;
        let (admin_token, _) = world.enter("cara").await;
        let key = world.identity.create_api_key(&bea, all_of(Role::Owner)).await.unwrap().key;

        assert_eq!(reason(world.identity.suspend_tenant(&bea, id, None).await), "forbidden");
        let suspended = world.identity.suspend_tenant(&world.owner, id, Some(" Unpaid. ")).await.unwrap();
        assert_eq!((suspended.state, suspended.state_reason.as_deref()), (TenantState::Suspended, Some("Unpaid.")));
        for token in [owner_token.as_str(), admin_token.as_str(), key.expose()] {
            let error = refused(world.identity.authenticate(token).await);
            assert_eq!((error.code(), error.reason()), (Code::Forbidden, "tenant_suspended"));
        }
        let caller = world.identity.authenticate_in_any_state(&owner_token, None).await.unwrap();
        assert!(caller.require_open(true).is_ok());
        assert_eq!(reason(caller.require_open(false)), "tenant_suspended");
        let caller = world.identity.authenticate_in_any_state(&admin_token, None).await.unwrap();
        assert_eq!(reason(caller.require_open(true)), "tenant_suspended");
        // Its owner may log in, to take the data out; nobody else.
        assert!(world.login("bea@example.org", PASSWORD).await.is_ok());
        assert_eq!(reason(world.login("cara@example.org", PASSWORD).await), "tenant_suspended");
        assert_eq!(reason(world.login("cara@example.org", "a wrong password").await), "login_failed");

        // Another process knows it too, and so does this one when it is over.
        let other = world.other_process(test.open_again().await);
        assert_eq!(reason(other.authenticate(&admin_token).await), "tenant_suspended");
        world.identity.resume_tenant(&world.owner, id).await.unwrap();
        assert!(world.is_valid(&admin_token).await && world.is_valid(key.expose()).await);
        for kind in ["identity.tenant.suspended", "identity.tenant.resumed"] {
            assert_eq!(world.count_events(&bea, kind, id).await, 1, "{kind}");
        }
    }

    async fn an_operator_does_not_lock_themselves_out(test: TestStore) {
        let world = World::new(test.store()).await;
        let own = world.owner.tenant().unwrap();
        assert_eq!(reason(world.identity.suspend_tenant(&world.owner, own, None).await), "own_tenant");
        second_tenant(&world).await;
        let error = reason(world.identity.request_deletion(&world.owner, own, "Default workspace").await);
        assert_eq!(error, "last_operator");
        let nowhere = TenantId::from_bits(7);
        assert_eq!(reason(world.identity.suspend_tenant(&world.owner, nowhere, None).await), "tenant_not_found");
        assert_eq!(reason(world.identity.resume_tenant(&world.owner, nowhere).await), "tenant_not_found");
    }

    async fn a_deletion_is_meant_and_can_be_taken_back(test: TestStore) {
        let world = World::new(test.store()).await;
        let bea = second_tenant(&world).await;
        let id = bea.tenant().unwrap();
        world.add_by(&bea, "cara", Role::Admin).await.unwrap();
        let (admin_token, admin) = world.enter("cara").await;
        let name = "bea's workspace";
        assert_eq!(reason(world.identity.request_deletion(&admin, id, name).await), "forbidden");
        assert_eq!(refused(world.identity.request_deletion(&bea, id, "beas workspace").await).field_name(), Some("name"));
        assert_eq!(reason(world.identity.request_deletion(&bea, world.owner.tenant().unwrap(), "x").await), "tenant_not_found");

        let asked = world.identity.request_deletion(&bea, id, name).await.unwrap();
        assert_eq!(asked.state, TenantState::Deleting);
        assert_eq!(asked.delete_at, Some(world.clock.now() + 30 * 86_400_000_000));
        assert_eq!(reason(world.identity.authenticate(&admin_token).await), "tenant_deleting");
        assert_eq!(reason(world.identity.request_deletion(&bea, id, name).await), "deletion_requested");
        assert_eq!(reason(world.identity.suspend_tenant(&world.owner, id, None).await), "deletion_requested");

        let back = world.identity.cancel_deletion(&bea, id).await.unwrap();
        assert_eq!((back.state, back.delete_at), (TenantState::Active, None));
        assert!(world.is_valid(&admin_token).await);
        assert_eq!(reason(world.identity.cancel_deletion(&bea, id).await), "tenant_not_deleting");

        // One that was suspended is suspended again.
        world.identity.suspend_tenant(&world.owner, id, None).await.unwrap();
        world.identity.request_deletion(&world.owner, id, name).await.unwrap();
        assert_eq!(world.identity.cancel_deletion(&world.owner, id).await.unwrap().state, TenantState::Suspended);
    }

    async fn nothing_is_erased_before_the_grace_period_is_over(test: TestStore) {
        let world = World::new(test.store()).await;
        let bea = second_tenant(&world).await;
        let id = bea.tenant().unwrap();
        world.identity.request_deletion(&bea, id, "bea's workspace").await.unwrap();
        world.clock.advance(29 * DAY);
        let workflows = worker(&world).await;
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        workflows.stop().await;
        assert_eq!(state(&world, id).await, Some(TenantState::Deleting));
        assert_eq!(world.identity.cancel_deletion(&bea, id).await.unwrap().state, TenantState::Active);
    }

    async fn everything_of_an_erased_tenant_goes_and_nothing_of_others(test: TestStore) {
        let world = World::new(test.store()).await;
        let bea = second_tenant(&world).await;
        let id = bea.tenant().unwrap();
        world.add_by(&bea, "cara", Role::Editor).await.unwrap();
        let key = world.identity.create_api_key(&bea, all_of(Role::Editor)).await.unwrap().key;
        world.identity.create_api_key(&world.owner, all_of(Role::Editor)).await.unwrap();
        for ctx in [&bea, &world.owner] {
            world.store.blobs().put(ctx, "knowledge/secret", "marzipan".into()).await.unwrap();
            let mut tx = world.store.begin(ctx).await.unwrap();
            world.store.seal_secret(&mut tx, "test", "a secret").await.unwrap();
            // More than one transaction takes.
            for number in 0..1_500 {
                tx.emit(NewEvent::new("test.happened", number, serde_json::json!({}))).await.unwrap();
            }
            tx.commit().await.unwrap();
        }
        let before = rows(&world, &world.owner).await;
        world.identity.request_deletion(&bea, id, "bea's workspace").await.unwrap();
        world.clock.advance(31 * DAY);
        let workflows = worker(&world).await;
        let begun = Instant::now();
        while state(&world, id).await.is_some() {
            assert!(begun.elapsed() < PATIENCE, "the workspace is not erased: {:?}", state(&world, id).await);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        workflows.stop().await;

        assert_eq!(rows(&world, &bea).await, 0);
        assert!(world.store.blobs().get(&bea, "knowledge/secret").await.is_err());
        assert_eq!(reason(world.identity.authenticate(key.expose()).await), "invalid_token");
        assert_eq!(reason(world.login("cara@example.org", PASSWORD).await), "login_failed");
        let stored = world.everything_stored().await;
        assert!(!stored.contains("cara@example.org") && !stored.contains("bea@example.org"));
        assert_eq!(reason(world.identity.cancel_deletion(&world.owner, id).await), "tenant_not_found");
        // The other tenant is as it was, and the installation's log tells of the end.
        assert_eq!(rows(&world, &world.owner).await, before);
        assert_eq!(world.store.blobs().get(&world.owner, "knowledge/secret").await.unwrap(), "marzipan");
        let sql = "SELECT tenant_id, subject, data FROM events WHERE type = 'identity.tenant.erased'";
        let told = world.store.read(&world.system()).await.unwrap().fetch_all(sql, []).await.unwrap();
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].get::<Option<String>>("tenant_id").unwrap(), None);
        assert_eq!(told[0].get::<String>("subject").unwrap(), id.to_string());
        let data: serde_json::Value = told[0].json("data").unwrap();
        assert!(data["rows"].as_u64().unwrap() > 1_500 && data["files"] == 1, "{data}");
    }

    async fn whoever_is_in_another_tenant_too_stays_a_person(test: TestStore) {
        let world = World::new(test.store()).await;
        let bea = second_tenant(&world).await;
        let id = bea.tenant().unwrap();
        // The owner of the first tenant is in the second one as well.
        let mut tx = world.store.begin(&bea).await.unwrap();
        let insert = "INSERT INTO memberships (tenant_id, user_id, role, created_at) VALUES ($1, $2, 'viewer', 0)";
        tx.execute(insert, [id.into(), world.owner_id().into()]).await.unwrap();
        tx.commit().await.unwrap();
        world.identity.request_deletion(&bea, id, "bea's workspace").await.unwrap();
        world.clock.advance(31 * DAY);
        let workflows = worker(&world).await;
        let begun = Instant::now();
        while state(&world, id).await.is_some() {
            assert!(begun.elapsed() < PATIENCE);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        workflows.stop().await;
        assert!(world.login("owner@example.org", PASSWORD).await.is_ok());
        assert_eq!(reason(world.login("bea@example.org", PASSWORD).await), "login_failed");
    }

    async fn being_locked_out_of_one_tenant_is_nothing_to_the_others(test: TestStore) {
        let world = World::new(test.store()).await;
        let bea = second_tenant(&world).await;
        let ada = world.add("ada", Role::Editor).await;
        let mut tx = world.store.begin(&bea).await.unwrap();
        let insert = "INSERT INTO memberships (tenant_id, user_id, role, created_at) VALUES ($1, $2, 'viewer', $3)";
        let later = world.clock.now() + 1;
        tx.execute(insert, [bea.tenant().unwrap().into(), ada.id.into(), later.into()]).await.unwrap();
        tx.commit().await.unwrap();
        let (token, ctx) = world.enter("ada").await;
        assert_eq!(ctx.tenant().unwrap(), world.owner.tenant().unwrap());
        let disable = plasma_identity::UserChange { disabled: Some(true), ..Default::default() };
        world.identity.update_user(&bea, ada.id, disable.clone()).await.unwrap();
        assert!(world.is_valid(&token).await);
        assert!(!world.identity.user(&world.owner, ada.id).await.unwrap().disabled);
        // Nor do they call the person otherwise there.
        let renamed = plasma_identity::UserChange { name: Some("Nobody".to_owned()), ..Default::default() };
        assert_eq!(reason(world.identity.update_user(&bea, ada.id, renamed).await), "name_is_shared");
        // Locked out of the one of the last use, they get into the other.
        world.identity.update_user(&world.owner, ada.id, disable).await.unwrap();
        assert!(!world.is_valid(&token).await);
        let enable = plasma_identity::UserChange { disabled: Some(false), ..Default::default() };
        world.identity.update_user(&bea, ada.id, enable).await.unwrap();
        let (_, ctx) = world.enter("ada").await;
        assert_eq!(ctx.tenant().unwrap(), bea.tenant().unwrap());
    }

    async fn a_plan_bounds_users_and_keys_also_at_the_same_moment(test: TestStore) {
        let world = std::sync::Arc::new(World::new(test.store()).await);
        let bea = second_tenant(&world).await;
        let id = bea.tenant().unwrap();
        let new = |limits: &[(plasma_kernel::QuotaResource, u64)]| plasma_identity::NewQuotas {
            plan: "small".to_owned(),
            limits: limits.to_vec(),
        };
        use plasma_kernel::QuotaResource as Resource;
        assert_eq!(reason(world.identity.put_quotas(&bea, id, new(&[])).await), "forbidden");
        let twice = new(&[(Resource::Users, 1), (Resource::Users, 2)]);
        assert_eq!(refused(world.identity.put_quotas(&world.owner, id, twice).await).field_name(), Some("limits"));
        let locked_out = new(&[(Resource::RequestsPerMinute, 59)]);
        assert_eq!(refused(world.identity.put_quotas(&world.owner, id, locked_out).await).field_name(), Some("limits"));
        let limits = new(&[(Resource::Users, 3), (Resource::ApiKeys, 1)]);
        world.identity.put_quotas(&world.owner, id, limits).await.unwrap();

        let tries: Vec<_> = (0..5)
            .map(|number| {
                let (world, bea) = (std::sync::Arc::clone(&world), bea.clone());
                tokio::spawn(async move { world.add_by(&bea, &format!("user{number}"), Role::Viewer).await })
            })
            .collect();
        let mut made = 0;
        for one in tries {
            match one.await.unwrap() {
                Ok(_) => made += 1,
                Err(error) => assert_eq!(error.reason(), "quota_exceeded"),
            }
        }
        assert_eq!(made, 2, "with the owner, three may be there");
        world.identity.create_api_key(&bea, all_of(Role::Viewer)).await.unwrap();
        assert_eq!(reason(world.identity.create_api_key(&bea, all_of(Role::Viewer)).await), "quota_exceeded");

        let quotas = world.identity.quotas(&bea).await.unwrap();
        assert_eq!(quotas.plan, "small");
        let of = |resource| quotas.uses.iter().find(|one| one.resource == resource).map(|one| (one.used, one.limit)).unwrap();
        assert_eq!(of(Resource::Users), (3, Some(3)));
        assert_eq!(of(Resource::ApiKeys), (1, Some(1)));
        assert_eq!(of(Resource::Documents), (0, None));
        // The other tenant has its own plan.
        world.add("ada", Role::Viewer).await;
        assert_eq!(world.identity.quotas(&world.owner).await.unwrap().plan, "standard");
        assert_eq!(world.identity.tenants(&world.owner, &page()).await.unwrap().data.len(), 2);
        let weak = refused(world.identity.create_user(&bea, plasma_identity::NewUser {
            email: "x@example.org".to_owned(), name: "X".to_owned(), role: Role::Viewer, password: secret("short"),
        }).await);
        assert_eq!(weak.field_name(), Some("password"));
    }
}
