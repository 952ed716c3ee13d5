use plasma_identity::{NewTenant, UserChange};
use plasma_kernel::{Ctx, Role};
use plasma_testkit::on_each_database;

use crate::support::{PASSWORD, World, all_of, page, reason, refused, secret};

fn tenant_of(name: &str) -> NewTenant {
    NewTenant {
        name: format!("{name}'s workspace"),
        owner_email: format!("{name}@example.org"),
        owner_name: name.to_owned(),
        owner_password: secret(PASSWORD),
    }
}

/// A second tenant; its owner's context.
pub async fn second_tenant(world: &World) -> Ctx {
    world.identity.create_tenant(&world.owner, tenant_of("bea")).await.unwrap();
    world.enter("bea").await.1
}

on_each_database! {
    async fn another_tenants_people_and_keys_do_not_exist(test: TestStore) {
        let world = World::new(test.store()).await;
        let ada = world.add("ada", Role::Editor).await;
        let key = world.identity.create_api_key(&world.owner, all_of(Role::Editor)).await.unwrap();
        let b = second_tenant(&world).await;

        let seen = world.identity.users(&b, &page()).await.unwrap().data;
        assert_eq!(seen.iter().map(|user| user.email.as_str()).collect::<Vec<_>>(), ["bea@example.org"]);
        assert!(world.identity.api_keys(&b, &page()).await.unwrap().data.is_empty());
        let disable = UserChange { disabled: Some(true), ..UserChange::default() };
        assert_eq!(reason(world.identity.user(&b, ada.id).await), "user_not_found");
        assert_eq!(reason(world.identity.update_user(&b, ada.id, disable).await), "user_not_found");
        assert_eq!(reason(world.identity.delete_user(&b, ada.id).await), "user_not_found");
        assert_eq!(reason(world.identity.revoke_api_key(&b, key.api_key.id).await), "api_key_not_found");

        assert!(world.is_valid(key.key.expose()).await);
        world.enter("ada").await;
        assert_eq!(world.identity.user(&world.owner, ada.id).await.unwrap().role, Role::Editor);
        // Nor does the log of one tenant tell of the other.
        assert!(world.events(&b).await.iter().all(|(_, subject)| *subject != ada.id.to_string()));
    }

    async fn only_an_operator_sees_other_tenants(test: TestStore) {
        let world = World::new(test.store()).await;
        let b = second_tenant(&world).await;
        let (a_id, b_id) = (world.owner.tenant().unwrap(), b.tenant().unwrap());

        let of_b: Vec<_> = world.identity.tenants(&b, &page()).await.unwrap().data.into_iter().map(|tenant| tenant.id).collect();
        assert_eq!(of_b, [b_id]);
        assert_eq!(reason(world.identity.tenant(&b, a_id).await), "tenant_not_found");
        assert_eq!(reason(world.identity.rename_tenant(&b, a_id, Some("mine")).await), "tenant_not_found");
        assert_eq!(reason(world.identity.create_tenant(&b, tenant_of("eve")).await), "forbidden");

        let mut all: Vec<_> = world.identity.tenants(&world.owner, &page()).await.unwrap().data.into_iter().map(|tenant| tenant.id).collect();
        all.sort();
        let mut expected = [a_id, b_id];
        expected.sort();
        assert_eq!(all, expected);
        assert_eq!(world.identity.tenant(&world.owner, b_id).await.unwrap().name, "bea's workspace");
    }

    async fn renaming_is_told_in_the_renamed_tenant(test: TestStore) {
        let world = World::new(test.store()).await;
        let b = second_tenant(&world).await;
        let b_id = b.tenant().unwrap();
        assert_eq!(world.identity.rename_tenant(&b, b_id, Some("Bea Ltd")).await.unwrap().name, "Bea Ltd");
        world.identity.rename_tenant(&world.owner, b_id, Some("Bea & Co")).await.unwrap();
        assert_eq!(world.identity.tenant(&b, b_id).await.unwrap().name, "Bea & Co");
        assert_eq!(world.count_events(&b, "identity.tenant.created", b_id).await, 1);
        assert_eq!(world.count_events(&b, "identity.tenant.updated", b_id).await, 2);
        assert_eq!(world.count_events(&world.owner, "identity.tenant.updated", b_id).await, 0);
    }

    async fn a_tenant_is_made_whole_or_not_at_all(test: TestStore) {
        let world = World::new(test.store()).await;
        let taken = refused(world.identity.create_tenant(&world.owner, tenant_of("owner")).await);
        assert_eq!((taken.reason(), taken.field_name()), ("email_taken", Some("owner.email")));
        let weak = NewTenant { owner_password: secret("short"), ..tenant_of("bea") };
        assert_eq!(refused(world.identity.create_tenant(&world.owner, weak).await).field_name(), Some("owner.password"));
        assert_eq!(world.identity.tenants(&world.owner, &page()).await.unwrap().data.len(), 1);
    }
}
