//! Connections: made, changed and deleted by those who hold `security:write`.

use std::fmt;

use plasma_kernel::{ConnectionId, Ctx, Error, Page, PageRequest, Permission, Result, Role};
use plasma_store::Tx;
use url::Url;

use super::{
    claims, domains, events, roles,
    types::{MadeRule, RequiredClaim},
};
use crate::{
    Connection, ConnectionChange, Identity, MappingRule, NewConnection, Secret, events as identity_events,
    store::{self, connections::StoredConnection},
    users::require_all,
    validation,
};

/// Connections of one tenant at most.
const CONNECTIONS_MAX: i64 = 50;
const CLIENT_ID_CHARS_MAX: usize = 500;
const CLIENT_SECRET_CHARS_MAX: usize = 4_000;
const SCOPES_MAX: usize = 20;
const SCOPE_CHARS_MAX: usize = 200;

impl Identity {
    /// The tenant's connections, newest first.
    ///
    /// # Errors
    /// `forbidden` without `security:read`.
    pub async fn connections(&self, ctx: &Ctx, page: &PageRequest) -> Result<Page<Connection>> {
        ctx.require(Permission::SecurityRead)?;
        let mut tx = self.inner.store.read(ctx).await?;
        let mut page = store::connections::page(&mut tx, page).await?.map(|stored| stored.connection);
        for connection in &mut page.data {
            connection.domains = store::sso_domains::of_connection(&mut tx, connection.id).await?;
        }
        drop(tx);
        self.mark_taken(ctx, &mut page.data).await?;
        Ok(page)
    }

    /// One connection.
    ///
    /// # Errors
    /// `forbidden` without `security:read`, `not_found`.
    pub async fn connection(&self, ctx: &Ctx, id: ConnectionId) -> Result<Connection> {
        ctx.require(Permission::SecurityRead)?;
        let mut tx = self.inner.store.read(ctx).await?;
        let stored = with_domains(&mut tx, id).await?;
        drop(tx);
        let mut connections = [stored.connection];
        self.mark_taken(ctx, &mut connections).await?;
        let [connection] = connections;
        Ok(connection)
    }

    /// Makes a connection. The provider is not asked: that is what its test does.
    ///
    /// # Errors
    /// `forbidden` without `security:write` or a recent proof, or for a rule that gives more than the caller holds; `invalid` for wrong
    /// input; `not_found` for a rule's team or role; `conflict` (`too_many_connections`, `domain_claimed`, `domain_taken`).
    pub async fn create_connection(&self, ctx: &Ctx, new: NewConnection) -> Result<Connection> {
        ctx.require(Permission::SecurityWrite)?;
        ctx.require_recent_authentication()?;
        let (issuer, account) = new.preset.issuer(new.account.as_deref(), new.issuer.as_deref())?;
        self.check_issuer(&issuer)?;
        let scopes = new.scopes.map_or_else(|| Ok(new.preset.scopes()), checked_scopes)?;
        let email_verified_claim =
            new.email_verified_claim.unwrap_or_else(|| new.preset.email_verified_claim().to_owned());
        check_parts(&email_verified_claim, &new.required_claims, &new.rules, new.default_role)?;
        let claimed = checked_domains(&new.domains)?;
        let secret = new.client_secret.as_ref().map(checked_secret).transpose()?;
        let connection = Connection {
            id: ConnectionId::new(ctx),
            name: validation::name("name", &new.name)?,
            preset: new.preset,
            account,
            issuer,
            client_id: checked_client_id(&new.client_id)?,
            has_client_secret: secret.is_some(),
            scopes,
            email_verified_claim,
            required_claims: new.required_claims,
            domains: Vec::new(),
            rules: new.rules,
            default_role: new.default_role,
            creates_users: new.creates_users,
            enabled: new.enabled,
            created_at: ctx.now(),
            updated_at: ctx.now(),
            last_login_at: None,
        };
        if let Some(role) = connection.default_role {
            require_all(ctx, role.permissions(), "give a role")?;
        }
        let id = connection.id;
        let mut tx = self.inner.store.begin(ctx).await?;
        store::tenants::lock(&mut tx).await?;
        if store::connections::count(&mut tx).await? >= CONNECTIONS_MAX {
            return Err(Error::conflict(
                "too_many_connections",
                format!("a workspace has at most {CONNECTIONS_MAX} connections"),
            ));
        }
        let rules = made_rules(&mut tx, &connection.rules, &[]).await?;
        let client_secret_sealed = match secret {
            Some(secret) => Some(self.sealed_client_secret(&mut tx, id, secret).await?),
            None => None,
        };
        let stored = StoredConnection { tenant: ctx.tenant()?, connection, rules, client_secret_sealed };
        store::connections::insert(&mut tx, &stored).await?;
        tx.emit(events::connection_created(&stored.connection)).await?;
        self.claim_domains(&mut tx, id, &claimed).await?;
        tx.commit().await?;
        self.connection_after(ctx, id).await
    }

    /// Changes a connection. What is not in `change` stays. Disabling it ends the sessions that began with it.
    ///
    /// # Errors
    /// As [`Identity::create_connection`]; `not_found`; `invalid` when the issuer changes and the secret is not given again;
    /// `conflict` (`connection_needed`) when single sign-on is enforced and no other connection would be left.
    pub async fn update_connection(&self, ctx: &Ctx, id: ConnectionId, change: ConnectionChange) -> Result<Connection> {
        ctx.require(Permission::SecurityWrite)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        store::tenants::lock(&mut tx).await?;
        let mut stored = with_domains(&mut tx, id).await?;
        ctx.require_recent_authentication()?;
        let before = stored.connection.clone();
        let secret_changes = change.client_secret.is_some();
        apply(&mut stored.connection, &change)?;
        let after = &stored.connection;
        check_parts(&after.email_verified_claim, &after.required_claims, &after.rules, after.default_role)?;
        if after.issuer != before.issuer {
            self.check_issuer(&after.issuer)?;
        }
        if after.issuer != before.issuer && before.has_client_secret && !secret_changes {
            return Err(Error::invalid(
                "client_secret",
                "the issuer changes, so the client secret must be given again",
            )
            .remedy("give the secret that belongs to the new provider, or null for none"));
        }
        if let Some(role) = after.default_role.filter(|role| before.default_role != Some(*role)) {
            require_all(ctx, role.permissions(), "give a role")?;
        }
        if before.enabled && !after.enabled {
            self.require_another(&mut tx, id).await?;
        }
        match change.client_secret {
            Some(Some(secret)) => {
                stored.client_secret_sealed =
                    Some(self.sealed_client_secret(&mut tx, id, checked_secret(&secret)?).await?)
            }
            Some(None) => stored.client_secret_sealed = None,
            None => {}
        }
        stored.connection.has_client_secret = stored.client_secret_sealed.is_some();
        stored.rules = made_rules(&mut tx, &stored.connection.rules, &stored.rules).await?;
        let claimed = change.domains.as_deref().map(checked_domains).transpose()?;
        let changed = changed_fields(&before, &stored.connection, secret_changes);
        if !changed.is_empty() {
            stored.connection.updated_at = ctx.now();
            store::connections::update(&mut tx, &stored).await?;
            let event = events::connection_updated(&stored.connection, &changed);
            let (old, new) = (events::state_of_connection(&before), events::state_of_connection(&stored.connection));
            tx.emit(event.changed(old, new)).await?;
        }
        if let Some(domains) = claimed {
            self.claim_domains(&mut tx, id, &domains).await?;
        }
        if before.enabled && !stored.connection.enabled {
            end_sessions(&mut tx, id).await?;
        }
        tx.commit().await?;
        self.inner.credentials.forget_tenant(ctx.tenant()?);
        self.providers().forget(&before.issuer).await;
        self.connection_after(ctx, id).await
    }

    /// Deletes a connection with its domains and linked accounts, and ends the sessions that began with it. Its people stay.
    ///
    /// # Errors
    /// `forbidden` without `security:write` or a recent proof, `not_found`, `conflict` (`connection_needed`).
    pub async fn delete_connection(&self, ctx: &Ctx, id: ConnectionId) -> Result<()> {
        ctx.require(Permission::SecurityWrite)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        store::tenants::lock(&mut tx).await?;
        let stored = store::connections::get(&mut tx, id).await?;
        ctx.require_recent_authentication()?;
        if stored.connection.enabled {
            self.require_another(&mut tx, id).await?;
        }
        end_sessions(&mut tx, id).await?;
        store::connections::delete(&mut tx, id).await?;
        tx.emit(events::connection_deleted(id, &stored.connection.name)).await?;
        tx.commit().await?;
        self.inner.credentials.forget_tenant(ctx.tenant()?);
        self.providers().forget(&stored.connection.issuer).await;
        Ok(())
    }

    /// Refuses an issuer whose address may not be called.
    fn check_issuer(&self, issuer: &str) -> Result<()> {
        let url = Url::parse(issuer).map_err(|error| Error::invalid("issuer", "an issuer is a URL").source(error))?;
        self.providers().check(&url).map_err(|error| error.field("issuer"))
    }

    /// The secret, opened.
    pub(super) async fn client_secret(&self, tx: &mut Tx, stored: &StoredConnection) -> Result<Option<Secret>> {
        let Some(sealed) = &stored.client_secret_sealed else { return Ok(None) };
        let opened = self.inner.store.open_secret(tx, &secret_purpose(stored.connection.id), sealed).await?;
        Ok(Some(Secret::new(opened.as_str())))
    }

    async fn sealed_client_secret(&self, tx: &mut Tx, id: ConnectionId, secret: &str) -> Result<Vec<u8>> {
        self.inner.store.seal_secret(tx, &secret_purpose(id), secret).await
    }

    /// What became of a change: its maker holds `security:write`, which needs no `security:read`.
    async fn connection_after(&self, ctx: &Ctx, id: ConnectionId) -> Result<Connection> {
        let mut tx = self.inner.store.read(ctx).await?;
        let mut connections = [with_domains(&mut tx, id).await?.connection];
        drop(tx);
        self.mark_taken(ctx, &mut connections).await?;
        let [connection] = connections;
        Ok(connection)
    }
}

/// What the client's secret of a connection is sealed for. `id` is the connection's.
pub(crate) fn secret_purpose(id: impl fmt::Display) -> String {
    format!("sso/{id}/client_secret")
}

pub(super) async fn with_domains(tx: &mut Tx, id: ConnectionId) -> Result<StoredConnection> {
    let mut stored = store::connections::get(tx, id).await?;
    stored.connection.domains = store::sso_domains::of_connection(tx, id).await?;
    Ok(stored)
}

async fn end_sessions(tx: &mut Tx, id: ConnectionId) -> Result<()> {
    for session in store::sso::end_sessions_of_connection(tx, id).await? {
        tx.emit(identity_events::session_revoked(session)).await?;
    }
    Ok(())
}

/// Writes what changes; what is wrong in itself is refused here or by [`check_parts`].
fn apply(connection: &mut Connection, change: &ConnectionChange) -> Result<()> {
    if let Some(name) = &change.name {
        connection.name = validation::name("name", name)?;
    }
    if change.account.is_some() || change.issuer.is_some() {
        let (issuer, account) = connection.preset.issuer(change.account.as_deref(), change.issuer.as_deref())?;
        (connection.issuer, connection.account) = (issuer, account);
    }
    if let Some(client_id) = &change.client_id {
        connection.client_id = checked_client_id(client_id)?;
    }
    if let Some(scopes) = &change.scopes {
        connection.scopes = checked_scopes(scopes.clone())?;
    }
    if let Some(claim) = &change.email_verified_claim {
        connection.email_verified_claim.clone_from(claim);
    }
    if let Some(required) = &change.required_claims {
        connection.required_claims.clone_from(required);
    }
    if let Some(rules) = &change.rules {
        connection.rules.clone_from(rules);
    }
    if let Some(default_role) = change.default_role {
        connection.default_role = default_role;
    }
    connection.creates_users = change.creates_users.unwrap_or(connection.creates_users);
    connection.enabled = change.enabled.unwrap_or(connection.enabled);
    Ok(())
}

fn check_parts(
    email_verified_claim: &str,
    required: &[RequiredClaim],
    rules: &[MappingRule],
    default_role: Option<Role>,
) -> Result<()> {
    claims::check_claim("email_verified_claim", email_verified_claim)?;
    claims::check_required(required)?;
    claims::check_rules(rules)?;
    match default_role {
        Some(Role::Owner) => Err(Error::invalid("default_role", "nobody becomes an owner just by logging in")
            .remedy("make a rule that gives the role `owner` to those whom a claim names")),
        Some(Role::Service) => Err(Error::invalid("default_role", "the role `service` is for programs")
            .remedy("use editor, which allows the same to a person")),
        _ => Ok(()),
    }
}

/// The rules with their makers: one that was there keeps its own, a new one gets the caller, who must hold what it gives.
async fn made_rules(tx: &mut Tx, rules: &[MappingRule], before: &[MadeRule]) -> Result<Vec<MadeRule>> {
    let ctx = tx.ctx().clone();
    let mut made = Vec::with_capacity(rules.len());
    let mut maker = None;
    for (index, rule) in rules.iter().enumerate() {
        if let Some(known) = before.iter().find(|known| known.rule == *rule) {
            made.push(known.clone());
            continue;
        }
        let (made_by, by_owner) = match maker {
            Some(maker) => maker,
            None => *maker.insert(roles::maker(tx, &ctx).await?),
        };
        roles::check_given(tx, &ctx, rule, by_owner).await.map_err(|error| match error.field_name() {
            Some(field) => {
                let field = format!("rules[{index}].{field}");
                error.field(field)
            }
            None => error,
        })?;
        made.push(MadeRule { rule: rule.clone(), made_by, by_owner });
    }
    Ok(made)
}

fn changed_fields(before: &Connection, after: &Connection, secret: bool) -> Vec<&'static str> {
    [
        ("name", before.name != after.name),
        ("issuer", before.issuer != after.issuer || before.account != after.account),
        ("client_id", before.client_id != after.client_id),
        ("client_secret", secret),
        ("scopes", before.scopes != after.scopes),
        ("email_verified_claim", before.email_verified_claim != after.email_verified_claim),
        ("required_claims", before.required_claims != after.required_claims),
        ("rules", before.rules != after.rules),
        ("default_role", before.default_role != after.default_role),
        ("creates_users", before.creates_users != after.creates_users),
        ("enabled", before.enabled != after.enabled),
    ]
    .into_iter()
    .filter_map(|(field, changed)| changed.then_some(field))
    .collect()
}

fn checked_client_id(text: &str) -> Result<String> {
    let client_id = text.trim();
    let chars = client_id.chars().count();
    if chars == 0 || chars > CLIENT_ID_CHARS_MAX || client_id.chars().any(char::is_control) {
        return Err(Error::invalid("client_id", format!("must be 1 to {CLIENT_ID_CHARS_MAX} characters on one line")));
    }
    Ok(client_id.to_owned())
}

fn checked_secret(secret: &Secret) -> Result<&str> {
    let text = secret.expose().trim();
    let chars = text.chars().count();
    if chars == 0 || chars > CLIENT_SECRET_CHARS_MAX || text.chars().any(char::is_control) {
        return Err(Error::invalid(
            "client_secret",
            format!("must be 1 to {CLIENT_SECRET_CHARS_MAX} characters on one line"),
        ));
    }
    Ok(text)
}

/// `openid` is added when it is missing: without it there is no ID token.
fn checked_scopes(scopes: Vec<String>) -> Result<Vec<String>> {
    if scopes.len() > SCOPES_MAX {
        return Err(Error::too_large("scopes", format!("a connection asks for at most {SCOPES_MAX} scopes")));
    }
    let mut checked = vec!["openid".to_owned()];
    for (index, scope) in scopes.into_iter().enumerate() {
        // RFC 6749, section 3.3.
        let is_fine = (1..=SCOPE_CHARS_MAX).contains(&scope.len())
            && scope.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
        if !is_fine {
            return Err(Error::invalid(format!("scopes[{index}]"), "is not a scope: a word without spaces and quotes"));
        }
        if !checked.contains(&scope) {
            checked.push(scope);
        }
    }
    Ok(checked)
}

fn checked_domains(texts: &[String]) -> Result<Vec<String>> {
    if texts.len() > domains::DOMAINS_MAX {
        let most = domains::DOMAINS_MAX;
        return Err(Error::too_large("domains", format!("a connection claims at most {most} domains")));
    }
    let mut checked: Vec<String> = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        let domain = domains::checked(&format!("domains[{index}]"), text)?;
        if !checked.contains(&domain) {
            checked.push(domain);
        }
    }
    Ok(checked)
}
