//! Applications: who registers them, what they may ask for, and their secrets.

use std::collections::HashSet;

use plasma_kernel::{ApplicationId, Ctx, Error, Page, PageRequest, Permission, Permissions, Result};
use plasma_store::Tx;
use url::Url;

use super::{
    Application, ApplicationChange, ApplicationKind, ApplicationWithSecret, COMMAND_LINE, NewApplication, redirect,
};
use crate::{
    Identity, Secret, events, store,
    tokens::{self, Fingerprint},
    types::INSTALLATION,
    users::require_all,
    validation,
};

/// Applications of one tenant at most.
const APPLICATIONS_MAX: i64 = 200;
const REDIRECT_URIS_MAX: usize = 20;
/// Secrets of one application that have not ended, at most.
const SECRETS_MAX: usize = 5;
/// How long the old secrets go on working when a new one is made.
pub const OVERLAP_SECONDS_DEFAULT: u32 = 24 * 3_600;
/// At most.
pub const OVERLAP_SECONDS_MAX: u32 = 30 * 24 * 3_600;

impl Identity {
    /// The tenant's applications, newest first.
    ///
    /// # Errors
    /// `forbidden` without `applications:read`.
    pub async fn applications(&self, ctx: &Ctx, page: &PageRequest) -> Result<Page<Application>> {
        ctx.require(Permission::ApplicationsRead)?;
        let mut tx = self.inner.store.read(ctx).await?;
        store::applications::page(&mut tx, page).await
    }

    /// One application of the tenant.
    ///
    /// # Errors
    /// `forbidden` without `applications:read`, `not_found`.
    pub async fn application(&self, ctx: &Ctx, id: ApplicationId) -> Result<Application> {
        ctx.require(Permission::ApplicationsRead)?;
        let mut tx = self.inner.store.read(ctx).await?;
        store::applications::get(&mut tx, id).await
    }

    /// Registers an application. A confidential one gets its first secret.
    ///
    /// # Errors
    /// `forbidden` without `applications:write` or a recent proof, or when it may do more for itself than the caller may; `invalid` for
    /// wrong input; `conflict` (`too_many_applications`).
    pub async fn create_application(&self, ctx: &Ctx, new: NewApplication) -> Result<ApplicationWithSecret> {
        ctx.require(Permission::ApplicationsWrite)?;
        ctx.require_recent_authentication()?;
        let person = ctx.person().ok_or_else(|| {
            Error::forbidden(
                "an application is registered by a person; one that acts for itself cannot register another",
            )
        })?;
        let now = ctx.now();
        let application = checked(Application {
            id: ApplicationId::new(ctx),
            name: new.name,
            description: new.description,
            homepage: new.homepage,
            kind: new.kind,
            redirect_uris: new.redirect_uris,
            scopes: new.scopes.into_iter().collect(),
            own_permissions: new.own_permissions.into_iter().collect(),
            device: new.device,
            created_by: Some(person),
            created_at: now,
            updated_at: now,
            consent_since: now,
            disabled_at: None,
            last_used_at: None,
            secrets: Vec::new(),
        })?;
        require_all(ctx, application.own_permissions, "register an application")?;
        let mut tx = self.inner.store.begin(ctx).await?;
        store::tenants::lock(&mut tx).await?;
        if store::applications::count(&mut tx).await? >= APPLICATIONS_MAX {
            return Err(Error::conflict(
                "too_many_applications",
                format!("a workspace has at most {APPLICATIONS_MAX} applications"),
            )
            .remedy("delete applications that are no longer used"));
        }
        store::applications::insert(&mut tx, &application).await?;
        let secret = match application.kind {
            ApplicationKind::Confidential => Some(add_secret(&mut tx, ctx, application.id).await?),
            ApplicationKind::Public => None,
        };
        tx.emit(events::application_created(&application)).await?;
        let application = store::applications::get(&mut tx, application.id).await?;
        tx.commit().await?;
        Ok(ApplicationWithSecret { application, secret })
    }

    /// Changes an application. What is not in `change` stays. When it may receive codes at a new address, everybody is asked
    /// again before it gets any.
    ///
    /// # Errors
    /// `forbidden` without `applications:write` or when it may do more for itself than the caller may; `invalid` for wrong
    /// input; `not_found`.
    pub async fn update_application(
        &self,
        ctx: &Ctx,
        id: ApplicationId,
        change: ApplicationChange,
    ) -> Result<Application> {
        ctx.require(Permission::ApplicationsWrite)?;
        ctx.require_recent_authentication()?;
        let mut tx = self.inner.store.begin(ctx).await?;
        store::tenants::lock(&mut tx).await?;
        let before = store::applications::get(&mut tx, id).await?;
        require_all(ctx, before.own_permissions, "change an application")?;
        let after = changed(ctx, &before, change)?;
        require_all(ctx, after.own_permissions, "change an application")?;
        let fields = changed_fields(&before, &after);
        if fields.is_empty() {
            return Ok(before);
        }
        store::applications::update(&mut tx, &after).await?;
        let event = events::application_updated(&after, &fields);
        tx.emit(event.changed(events::state_of_application(&before), events::state_of_application(&after))).await?;
        tx.commit().await?;
        self.inner.credentials.forget_tenant(ctx.tenant()?);
        Ok(after)
    }

    /// Deletes an application: its tokens are refused at once, in other processes within 5 seconds.
    ///
    /// # Errors
    /// `forbidden` without `applications:write` or when it may do more for itself than the caller may; `not_found`.
    pub async fn delete_application(&self, ctx: &Ctx, id: ApplicationId) -> Result<()> {
        ctx.require(Permission::ApplicationsWrite)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        store::tenants::lock(&mut tx).await?;
        let application = store::applications::get(&mut tx, id).await?;
        require_all(ctx, application.own_permissions, "delete an application")?;
        store::oauth_devices::delete_of_application(&mut tx, id).await?;
        store::oauth_tokens::delete_own(&mut tx, id).await?;
        let people = store::oauth_grants::delete_of_application(&mut tx, id).await?;
        store::applications::delete(&mut tx, id).await?;
        tx.emit(events::application_deleted(&application, people)).await?;
        tx.commit().await?;
        self.inner.credentials.forget_tenant(ctx.tenant()?);
        Ok(())
    }

    /// Makes a new secret; the others go on working for `overlap_seconds`.
    ///
    /// # Errors
    /// `forbidden` without `applications:write` or a recent proof, or when it may do more for itself than the caller may; `invalid` for
    /// a public application or an overlap of more than 30 days; `not_found`; `conflict` (`too_many_secrets`).
    pub async fn rotate_application_secret(
        &self,
        ctx: &Ctx,
        id: ApplicationId,
        overlap_seconds: u32,
    ) -> Result<ApplicationWithSecret> {
        ctx.require(Permission::ApplicationsWrite)?;
        ctx.require_recent_authentication()?;
        let mut tx = self.inner.store.begin(ctx).await?;
        store::tenants::lock(&mut tx).await?;
        let application = store::applications::get(&mut tx, id).await?;
        if overlap_seconds > OVERLAP_SECONDS_MAX {
            return Err(Error::invalid("overlap_seconds", format!("must be 0 to {OVERLAP_SECONDS_MAX}")));
        }
        if application.kind == ApplicationKind::Public {
            return Err(Error::invalid("id", "a public application has no secret")
                .remedy("register a confidential application for a program that runs on a server"));
        }
        // Whoever knows the secret can do what the application may do for itself.
        require_all(ctx, application.own_permissions, "make a secret of an application")?;
        let ends_at = ctx.now() + i64::from(overlap_seconds) * 1_000_000;
        store::applications::end_secrets(&mut tx, id, ends_at).await?;
        if store::applications::get(&mut tx, id).await?.secrets.len() >= SECRETS_MAX {
            return Err(Error::conflict(
                "too_many_secrets",
                format!("{SECRETS_MAX} secrets of this application still work"),
            )
            .remedy("wait until one has ended, or give an overlap of 0 to end all of them now"));
        }
        let secret = add_secret(&mut tx, ctx, id).await?;
        tx.emit(events::application_secret_rotated(id, overlap_seconds)).await?;
        let application = store::applications::get(&mut tx, id).await?;
        tx.commit().await?;
        Ok(ApplicationWithSecret { application, secret: Some(secret) })
    }
}

/// The command line as an application of every tenant.
pub(super) fn command_line() -> Application {
    Application {
        id: COMMAND_LINE,
        name: "Plasma command line".to_owned(),
        description: "The program `plasma` on your own machine.".to_owned(),
        homepage: None,
        kind: ApplicationKind::Public,
        redirect_uris: vec!["http://127.0.0.1/callback".to_owned(), "http://[::1]/callback".to_owned()],
        scopes: Permissions::all(),
        own_permissions: Permissions::none(),
        device: true,
        created_by: None,
        created_at: 0,
        updated_at: 0,
        consent_since: 0,
        disabled_at: None,
        last_used_at: None,
        secrets: Vec::new(),
    }
}

/// What people call an application of the transaction's tenant.
pub(crate) async fn name_of(tx: &mut Tx, id: ApplicationId) -> Result<String> {
    if id == COMMAND_LINE {
        return Ok(command_line().name);
    }
    Ok(store::applications::get(tx, id).await?.name)
}

async fn add_secret(tx: &mut Tx, ctx: &Ctx, id: ApplicationId) -> Result<Secret> {
    let secret = tokens::new_client_secret(ctx.random());
    let prefix = tokens::shown_prefix(secret.expose());
    store::applications::insert_secret(tx, id, &Fingerprint::of(secret.expose()), &prefix).await?;
    Ok(secret)
}

fn changed(ctx: &Ctx, before: &Application, change: ApplicationChange) -> Result<Application> {
    let now = ctx.now();
    let permissions = |permissions: Vec<Permission>| permissions.into_iter().collect::<Permissions>();
    let mut after = checked(Application {
        name: change.name.unwrap_or_else(|| before.name.clone()),
        description: change.description.unwrap_or_else(|| before.description.clone()),
        homepage: change.homepage.or_else(|| before.homepage.clone()),
        redirect_uris: change.redirect_uris.unwrap_or_else(|| before.redirect_uris.clone()),
        scopes: change.scopes.map_or(before.scopes, permissions),
        own_permissions: change.own_permissions.map_or(before.own_permissions, permissions),
        device: change.device.unwrap_or(before.device),
        disabled_at: match change.disabled {
            Some(true) => before.disabled_at.or(Some(now)),
            Some(false) => None,
            None => before.disabled_at,
        },
        ..before.clone()
    })?;
    after.updated_at = now;
    if after.redirect_uris.iter().any(|uri| !before.redirect_uris.contains(uri)) {
        after.consent_since = now;
    }
    Ok(after)
}

/// Checks what somebody entered, and brings it into the form in which it is stored.
fn checked(mut application: Application) -> Result<Application> {
    application.name = validation::name("name", &application.name)?;
    application.description = validation::description("description", &application.description)?;
    application.homepage = homepage(application.homepage.as_deref())?;
    check_redirect_uris(&application)?;
    if application.own_permissions == Permissions::none() {
        return Ok(application);
    }
    if application.kind == ApplicationKind::Public {
        return Err(Error::invalid("own_permissions", "a public application cannot act for itself: it has no secret")
            .remedy("register a confidential application"));
    }
    if INSTALLATION.iter().any(|permission| application.own_permissions.contains(*permission)) {
        return Err(Error::invalid("own_permissions", "an application of a workspace cannot manage the installation"));
    }
    Ok(application)
}

fn check_redirect_uris(application: &Application) -> Result<()> {
    if application.redirect_uris.len() > REDIRECT_URIS_MAX {
        return Err(Error::invalid(
            "redirect_uris",
            format!("an application has at most {REDIRECT_URIS_MAX} addresses"),
        ));
    }
    let mut known = HashSet::new();
    for (index, uri) in application.redirect_uris.iter().enumerate() {
        let field = format!("redirect_uris[{index}]");
        redirect::check_registered(&field, uri, application.kind)?;
        if !known.insert(uri.as_str()) {
            return Err(Error::invalid(field, "the address is given twice"));
        }
    }
    Ok(())
}

fn homepage(text: Option<&str>) -> Result<Option<String>> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(None) };
    let is_page = text.len() <= redirect::URI_BYTES_MAX
        && !text.chars().any(|letter| letter.is_control() || letter.is_whitespace())
        && Url::parse(text)
            .is_ok_and(|url| url.scheme() == "https" && url.username().is_empty() && url.password().is_none());
    if is_page {
        return Ok(Some(text.to_owned()));
    }
    Err(Error::invalid("homepage", "must be an address that starts with https://, of at most 2,000 bytes"))
}

fn changed_fields(before: &Application, after: &Application) -> Vec<&'static str> {
    [
        ("name", before.name != after.name),
        ("description", before.description != after.description),
        ("homepage", before.homepage != after.homepage),
        ("redirect_uris", before.redirect_uris != after.redirect_uris),
        ("scopes", before.scopes != after.scopes),
        ("own_permissions", before.own_permissions != after.own_permissions),
        ("device", before.device != after.device),
        ("disabled", before.disabled_at.is_some() != after.disabled_at.is_some()),
    ]
    .into_iter()
    .filter_map(|(field, changed)| changed.then_some(field))
    .collect()
}
