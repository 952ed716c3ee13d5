//! Tells knowledge of the people that identity keeps.

use futures::future::BoxFuture;
use plasma_identity::Identity;
use plasma_kernel::{Ctx, Result, UserId};
use plasma_knowledge::{People, Person};

pub(crate) struct IdentityPeople(pub(crate) Identity);

impl People for IdentityPeople {
    fn person<'a>(&'a self, ctx: &'a Ctx, user: UserId) -> BoxFuture<'a, Result<Person>> {
        Box::pin(async move {
            let (permissions, teams) = self.0.access_of(ctx, user).await?;
            Ok(Person { permissions, teams })
        })
    }
}
