//! What a tenant's plan allows, and a tenant that is erased.

use std::time::{Duration, Instant};

use plasma_kernel::{Code, QuotaResource, Result};
use plasma_knowledge::{NewCollection, SearchMode};
use plasma_testkit::on_each_database;

use crate::support::{Setup, keyed, markdown};

async fn limit(setup: &Setup, resource: QuotaResource, max: u64) {
    let mut tx = setup.test.begin(&setup.ctx).await.unwrap();
    let insert = "INSERT INTO tenant_quotas (tenant_id, resource, limit_max) VALUES ($1, $2, $3)
                  ON CONFLICT (tenant_id, resource) DO UPDATE SET limit_max = excluded.limit_max";
    let tenant = setup.ctx.tenant().unwrap();
    tx.execute(insert, [tenant.into(), resource.as_str().into(), max.into()]).await.unwrap();
    tx.commit().await.unwrap();
}

async fn used(setup: &Setup, resource: QuotaResource) -> u64 {
    setup.test.read(&setup.ctx).await.unwrap().quota_used(resource).await.unwrap()
}

#[track_caller]
fn exceeded<T>(result: Result<T>) {
    let error = result.err().expect("this must be refused");
    assert_eq!((error.code(), error.reason()), (Code::Conflict, "quota_exceeded"));
}

on_each_database! {
    async fn the_plan_bounds_collections_documents_and_bytes(test: TestStore) {
        let setup = Setup::start(test).await;
        limit(&setup, QuotaResource::Collections, 1).await;
        limit(&setup, QuotaResource::Documents, 2).await;
        let collection = setup.collection("first").await;
        let second = NewCollection { name: "second".to_owned(), ..NewCollection::default() };
        exceeded(setup.knowledge.create_collection(&setup.ctx, second).await);

        let one = setup.bring(&collection, keyed("one", "One", "The harbor opens at five.")).await;
        setup.bring(&collection, keyed("two", "Two", "The orchard opens at six.")).await;
        let blobs = setup.blobs();
        exceeded(setup.knowledge.add_document(&setup.ctx, collection.id, markdown("Three", "Too many.")).await);
        assert_eq!(setup.blobs(), blobs, "the bytes of a refused document were kept");
        // A document that is replaced is not one more.
        setup.bring(&collection, keyed("one", "One", "The harbor opens at seven.")).await;
        setup.until_idle().await;
        assert_eq!(used(&setup, QuotaResource::Documents).await, 2);
        assert_eq!(used(&setup, QuotaResource::StorageBytes).await, 51);

        limit(&setup, QuotaResource::StorageBytes, 60).await;
        limit(&setup, QuotaResource::Documents, 10).await;
        exceeded(setup.knowledge.add_document(&setup.ctx, collection.id, markdown("Long", "More than is allowed.")).await);
        setup.knowledge.delete_document(&setup.ctx, collection.id, one.id).await.unwrap();
        setup.until_idle().await;
        assert_eq!(used(&setup, QuotaResource::Documents).await, 1);
        setup.bring(&collection, markdown("Long", "More than is allowed.")).await;

        setup.knowledge.delete_collection(&setup.ctx, collection.id).await.unwrap();
        setup.until_idle().await;
        for resource in [QuotaResource::Collections, QuotaResource::Documents, QuotaResource::StorageBytes] {
            assert_eq!(used(&setup, resource).await, 0, "{resource}");
        }
        setup.collection("second").await;
    }

    async fn an_erased_tenants_collections_are_forgotten_by_every_process(test: TestStore) {
        let setup = Setup::start(test).await;
        let collection = setup.collection("first").await;
        setup.bring(&collection, markdown("One", "The vault opens with the word heliotrope.")).await;
        assert!(!setup.search(&collection, SearchMode::Hybrid, "heliotrope").await.results.is_empty());
        let folder = setup.test.data_dir().join("index/vectors-1").join(collection.id.to_string());
        assert!(folder.exists());

        let tenant = setup.ctx.tenant().unwrap();
        setup.knowledge.forget_tenant(tenant).await.unwrap();
        setup.knowledge.forget_tenant(tenant).await.unwrap();
        let begun = Instant::now();
        while folder.exists() {
            assert!(begun.elapsed() < Duration::from_secs(60), "the vectors are still there");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(setup.knowledge.get_collection(&setup.ctx, "first").await.is_err());
    }
}
