//! Tells knowledge of the people that identity keeps, and of the tenants that identity erases.

use futures::{FutureExt as _, future::BoxFuture};
use plasma_identity::{ForgetTenant, Identity};
use plasma_kernel::{Ctx, Result, TenantId, UserId};
use plasma_knowledge::{Knowledge, People, Person};

pub(crate) struct IdentityPeople(pub(crate) Identity);

impl People for IdentityPeople {
    fn person<'a>(&'a self, ctx: &'a Ctx, user: UserId) -> BoxFuture<'a, Result<Person>> {
        Box::pin(async move {
            let (permissions, teams) = self.0.access_of(ctx, user).await?;
            Ok(Person { permissions, teams })
        })
    }
}

pub(crate) struct KnowledgeForgets(pub(crate) Knowledge);

impl ForgetTenant for KnowledgeForgets {
    fn forget_tenant(&self, tenant: TenantId) -> BoxFuture<'_, Result<()>> {
        self.0.forget_tenant(tenant).boxed()
    }
}
