//! What knowledge must know of people, whom another domain keeps.

use std::sync::Arc;

use futures::future::BoxFuture;
use plasma_kernel::{Ctx, Permissions, Result, TeamId, UserId};

/// What decides what a person sees.
#[derive(Clone, Debug)]
pub struct Person {
    /// All that they may do.
    pub permissions: Permissions,
    /// All teams that they are in.
    pub teams: Arc<[TeamId]>,
}

/// Whoever knows the people of tenants.
pub trait People: Send + Sync {
    /// A person of the ctx's tenant. Only asked for callers who may act as anybody.
    ///
    /// # Errors
    /// `not_found`; what the database fails with.
    fn person<'a>(&'a self, ctx: &'a Ctx, user: UserId) -> BoxFuture<'a, Result<Person>>;
}
