//! Aliases: other names of models and routes, so that what callers name need not change with what answers.

use std::{collections::BTreeMap, sync::Arc};

use plasma_kernel::{Ctx, Error, Permission, Result, Timestamp};
use plasma_store::NewEvent;
use serde_json::json;

use crate::{
    Models, events,
    routes::{check_name, is_built_in},
    store,
};

/// Aliases of one tenant.
const ALIASES_MAX: usize = 500;
const NAME_CHARS_MAX: usize = 63;

/// Another name of a model or a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// What callers name as the model.
    pub name: String,
    /// The model or the route that it stands for.
    pub target: String,
    /// When it was added.
    pub created_at: Timestamp,
}

/// A tenant's aliases by their names.
pub(crate) type Aliases = BTreeMap<String, Alias>;

fn not_found(name: &str) -> Error {
    // A name comes from outside and may be long.
    let shown: String = name.chars().take(NAME_CHARS_MAX).collect();
    Error::not_found("alias_not_found", format!("there is no alias `{shown}`"))
}

impl Models {
    /// All aliases of the tenant in the order of their names.
    ///
    /// # Errors
    /// `forbidden` without `models:read`.
    pub async fn aliases(&self, ctx: &Ctx) -> Result<Vec<Alias>> {
        ctx.require(Permission::ModelsRead)?;
        Ok(self.known_aliases(ctx).await?.values().cloned().collect())
    }

    /// One alias by its name.
    ///
    /// # Errors
    /// `forbidden` without `models:read`, `not_found`.
    pub async fn alias(&self, ctx: &Ctx, name: &str) -> Result<Alias> {
        ctx.require(Permission::ModelsRead)?;
        self.known_aliases(ctx).await?.get(name).cloned().ok_or_else(|| not_found(name))
    }

    /// Adds an alias, or changes what the one with this name stands for. Calls of this process see it at once, those of
    /// others within 10 s.
    ///
    /// # Errors
    /// `forbidden` without `models:write`, `invalid` naming the field, also where the target is an alias itself; `not_found`
    /// (`model_not_found`) where it is no model or route; `conflict` (`route_exists`) for a route's name, `too_large` beyond 500 aliases.
    pub async fn put_alias(&self, ctx: &Ctx, name: &str, target: &str) -> Result<Alias> {
        ctx.require(Permission::ModelsWrite)?;
        check_name(name)?;
        self.check_target(ctx, target).await?;
        let mut tx = self.inner.store.begin(ctx).await?;
        store::names::lock(&mut tx).await?;
        if is_built_in(name) || store::routes::exists(&mut tx, name).await? {
            return Err(Error::conflict("route_exists", format!("`{name}` is a route")).field("name"));
        }
        let existing = store::aliases::all(&mut tx).await?;
        let now = ctx.now();
        let created_at = match existing.iter().find(|alias| alias.name == name) {
            Some(alias) => alias.created_at,
            None if existing.len() >= ALIASES_MAX => {
                return Err(Error::too_large("name", format!("a workspace has at most {ALIASES_MAX} aliases")));
            }
            None => now,
        };
        let before = existing.iter().find(|alias| alias.name == name).map(|alias| json!({ "target": alias.target }));
        let alias = Alias { name: name.to_owned(), target: target.to_owned(), created_at };
        store::aliases::put(&mut tx, &alias, now).await?;
        let event = NewEvent::new(events::ALIAS_CHANGED, name, json!({ "target": target }));
        tx.emit(event.changed(json!(before), json!({ "target": target }))).await?;
        tx.commit().await?;
        self.inner.aliases.changed();
        Ok(alias)
    }

    /// Removes an alias.
    ///
    /// # Errors
    /// `forbidden` without `models:write`, `not_found`.
    pub async fn delete_alias(&self, ctx: &Ctx, name: &str) -> Result<()> {
        ctx.require(Permission::ModelsWrite)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        if !store::aliases::delete(&mut tx, name).await? {
            return Err(not_found(name));
        }
        tx.emit(NewEvent::new(events::ALIAS_DELETED, name, json!({}))).await?;
        tx.commit().await?;
        self.inner.aliases.changed();
        Ok(())
    }

    /// An alias leads to a model or a route in one step, so that there are no cycles.
    async fn check_target(&self, ctx: &Ctx, target: &str) -> Result<()> {
        if let Some(alias) = self.known_aliases(ctx).await?.get(target) {
            let message = format!("`{target}` is an alias itself");
            return Err(Error::invalid("target", message).remedy(format!("name `{}`", alias.target)));
        }
        if !target.contains('/') && self.find_route(ctx, target).await?.is_some() {
            return Ok(());
        }
        match self.model(ctx, target).await {
            Ok(_) => Ok(()),
            Err(error) if error.reason() == "model_not_found" => {
                Err(error.field("target").remedy("name a model or a route"))
            }
            Err(error) => Err(error),
        }
    }

    /// What the alias `name` stands for; `None` when it is no alias. Reads no SQL but once in 10 s.
    pub(crate) async fn alias_target(&self, ctx: &Ctx, name: &str) -> Result<Option<String>> {
        if name.contains('/') {
            return Ok(None);
        }
        // Boxed: few names have no slash, and the others' calls must not carry its weight.
        let aliases = Box::pin(self.known_aliases(ctx)).await?;
        Ok(aliases.get(name).map(|alias| alias.target.clone()))
    }

    pub(crate) async fn known_aliases(&self, ctx: &Ctx) -> Result<Arc<Aliases>> {
        let load = || async {
            let mut tx = self.inner.store.read(ctx).await?;
            let aliases = store::aliases::all(&mut tx).await?;
            Ok(aliases.into_iter().map(|alias| (alias.name.clone(), alias)).collect())
        };
        self.inner.aliases.get(ctx.tenant()?, load).await
    }
}
