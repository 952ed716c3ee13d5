//! Services that show certificates of their own.

use std::time::{Duration, Instant};

use plasma_identity::{NewServiceIdentity, ServiceIdentity};
use plasma_kernel::{Actor, Code, Permission, Role};
use plasma_testkit::on_each_database;

use crate::support::{World, all_of, only, page, reason, refused};

const BILLING: &str = "spiffe://example.org/billing";

fn new(spiffe_id: &str, api_key: plasma_kernel::ApiKeyId) -> NewServiceIdentity {
    NewServiceIdentity { spiffe_id: spiffe_id.to_owned(), api_key }
}

async fn billing(world: &World) -> (ServiceIdentity, plasma_kernel::ApiKeyId) {
    let key =
        world.identity.create_api_key(&world.owner, only(Role::Service, &[Permission::SearchQuery])).await.unwrap();
    let service = world.identity.create_service_identity(&world.owner, new(BILLING, key.api_key.id)).await.unwrap();
    (service, key.api_key.id)
}

on_each_database! {
    async fn a_service_acts_as_its_key(test: TestStore) {
        let world = World::new(test.store()).await;
        assert_eq!(reason(world.identity.authenticate_service(BILLING, None).await), "service_unknown");
        let (service, key) = billing(&world).await;
        let authenticated = world.identity.authenticate_service(BILLING, None).await.unwrap();
        assert_eq!(authenticated.ctx.actor(), &Actor::ApiKey { id: key });
        assert_eq!(authenticated.ctx.tenant().unwrap(), world.owner.tenant().unwrap());
        let permissions: Vec<_> = authenticated.ctx.permissions().iter().collect();
        assert_eq!(permissions, [Permission::SearchQuery]);
        let listed = world.identity.service_identities(&world.owner, &page()).await.unwrap().data;
        assert_eq!(listed, std::slice::from_ref(&service));
        assert_eq!(world.count_events(&world.owner, "identity.service_identity.created", service.id).await, 1);

        world.identity.delete_service_identity(&world.owner, service.id).await.unwrap();
        assert_eq!(reason(world.identity.authenticate_service(BILLING, None).await), "service_unknown");
        let again = world.identity.delete_service_identity(&world.owner, service.id).await;
        assert_eq!(reason(again), "service_identity_not_found");
        assert_eq!(world.count_events(&world.owner, "identity.service_identity.deleted", service.id).await, 1);
    }

    async fn a_service_ends_with_its_key(test: TestStore) {
        let world = World::new(test.store()).await;
        let other = world.other_process(test.open_again().await);
        let (_, key) = billing(&world).await;
        other.authenticate_service(BILLING, None).await.unwrap();
        world.identity.authenticate_service(BILLING, None).await.unwrap();
        world.identity.revoke_api_key(&world.owner, key).await.unwrap();
        assert_eq!(refused(world.identity.authenticate_service(BILLING, None).await).code(), Code::Unauthenticated);
        let revoked = Instant::now();
        while other.authenticate_service(BILLING, None).await.is_ok() {
            assert!(revoked.elapsed() < Duration::from_millis(5_500), "still valid after {:?}", revoked.elapsed());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let revoked = world.identity.create_service_identity(&world.owner, new("spiffe://example.org/other", key)).await;
        assert_eq!(reason(revoked), "api_key_revoked");
    }

    async fn only_operators_say_which_service_is_which_key(test: TestStore) {
        let world = World::new(test.store()).await;
        world.add("ada", Role::Owner).await;
        let (_, ada) = world.enter("ada").await;
        let key = world.identity.create_api_key(&ada, all_of(Role::Editor)).await.unwrap().api_key.id;
        assert_eq!(reason(world.identity.create_service_identity(&ada, new(BILLING, key)).await), "forbidden");
        assert_eq!(reason(world.identity.service_identities(&ada, &page()).await), "forbidden");
        let (service, _) = billing(&world).await;
        assert_eq!(reason(world.identity.delete_service_identity(&ada, service.id).await), "forbidden");
        // Not even an operator lets a service do more than they may do themselves.
        let narrow = only(Role::Owner, &[Permission::InstallationManage, Permission::ApiKeysWrite]);
        let narrow = world.identity.create_api_key(&world.owner, narrow).await.unwrap().key;
        let narrow = world.identity.authenticate(narrow.expose()).await.unwrap().ctx;
        let wide = world.identity.create_service_identity(&narrow, new("spiffe://example.org/wide", key)).await;
        assert_eq!(reason(wide), "forbidden");
    }

    async fn wrong_and_taken_names_are_refused(test: TestStore) {
        let world = World::new(test.store()).await;
        let (_, key) = billing(&world).await;
        let wrong = refused(world.identity.create_service_identity(&world.owner, new("https://example.org", key)).await);
        assert_eq!((wrong.code(), wrong.field_name()), (Code::Invalid, Some("spiffe_id")));
        let taken = refused(world.identity.create_service_identity(&world.owner, new(BILLING, key)).await);
        assert_eq!((taken.reason(), taken.field_name()), ("spiffe_id_taken", Some("spiffe_id")));
        let unknown = plasma_kernel::ApiKeyId::from_bits(7);
        let unknown = refused(world.identity.create_service_identity(&world.owner, new("spiffe://a/b", unknown)).await);
        assert_eq!((unknown.code(), unknown.field_name()), (Code::NotFound, Some("api_key")));
    }
}
