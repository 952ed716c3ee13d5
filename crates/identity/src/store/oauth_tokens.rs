//! Families of tokens, and the tokens.

use std::sync::{Arc, atomic::AtomicI64};

use plasma_kernel::{
    Actor, ApplicationId, GrantId, Methods, Permissions, Result, Role, Subject, TenantId, Timestamp, TokenFamilyId,
    UserId,
};
use plasma_store::{Row, Sql, Tx, Value};

use super::roles::{custom_of, permissions_from_text};
use crate::{
    authentication::{Credential, CredentialId},
    last_used::WRITTEN_EVERY_MICROS,
    login_policy,
    oauth::{COMMAND_LINE, Scopes},
    tokens::Fingerprint,
    types::held,
};

/// The tokens of one authorization.
#[derive(Clone, Debug)]
pub(crate) struct Family {
    pub(crate) id: TokenFamilyId,
    pub(crate) grant: GrantId,
    pub(crate) application: ApplicationId,
    pub(crate) user: UserId,
    pub(crate) scopes: Scopes,
    pub(crate) authenticated_at: Option<Timestamp>,
    pub(crate) methods: Methods,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

/// A refresh token with its family.
pub(crate) struct RefreshToken {
    pub(crate) tenant: TenantId,
    pub(crate) family: Family,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) used_at: Option<Timestamp>,
    /// The pair that took its place, sealed.
    pub(crate) successor: Option<Vec<u8>>,
}

/// An access token, as introspection and revocation see it.
pub(crate) struct AccessToken {
    pub(crate) tenant: TenantId,
    pub(crate) application: ApplicationId,
    pub(crate) family: Option<TokenFamilyId>,
    pub(crate) user: Option<UserId>,
    pub(crate) scopes: Scopes,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

fn family_from_row(row: &Row) -> Result<Family> {
    Ok(Family {
        id: row.get("family_id")?,
        grant: row.get("grant_id")?,
        application: row.get("application_id")?,
        user: row.get("user_id")?,
        scopes: Scopes::from_stored(&row.get::<String>("family_scopes")?),
        authenticated_at: row.get("authenticated_at")?,
        methods: Methods::from_text(&row.get::<String>("methods")?),
        created_at: row.get("family_created_at")?,
        expires_at: row.get("family_expires_at")?,
    })
}

/// Across tenants: what this access token is good for. `None` when there is none, or its person left.
pub(crate) async fn credential(tx: &mut Tx, token: &Fingerprint) -> Result<Option<Credential>> {
    let row = tx
        .fetch_optional(
            "SELECT t.tenant_id, t.application_id, t.family_id, t.scopes, t.expires_at, f.user_id,
                    f.last_used_at AS family_last_used_at, a.scopes AS ceiling, a.own_permissions,
                    a.disabled_at AS application_disabled_at, a.last_used_at AS application_last_used_at, m.role,
                    m.custom_role_id, r.name AS custom_role_name, r.permissions AS custom_role_permissions,
                    u.email, u.operator, m.disabled_at, d.team_id, p.revision AS policies, l.ip_ranges
             FROM oauth_access_tokens t
             LEFT JOIN oauth_families f ON f.tenant_id = t.tenant_id AND f.id = t.family_id
             LEFT JOIN applications a ON a.tenant_id = t.tenant_id AND a.id = t.application_id
             LEFT JOIN memberships m ON m.tenant_id = t.tenant_id AND m.user_id = f.user_id
             LEFT JOIN users u ON u.id = f.user_id
             LEFT JOIN custom_roles r ON r.tenant_id = t.tenant_id AND r.id = m.custom_role_id
             LEFT JOIN access_policy_sets p ON p.tenant_id = t.tenant_id AND p.enabled > 0
             LEFT JOIN login_policies l ON l.tenant_id = t.tenant_id
             LEFT JOIN team_members d ON d.tenant_id = t.tenant_id AND d.user_id = f.user_id AND d.is_default = 1
             WHERE t.token_hash = $1",
            [token.as_bytes().into()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    match row.get::<Option<UserId>>("user_id")? {
        Some(person) => of_person(tx, row, person).await,
        None => of_application(&row),
    }
}

/// What the person may do now, as far as they allowed it and as far as the application may ask for it.
async fn of_person(tx: &mut Tx, row: Row, person: UserId) -> Result<Option<Credential>> {
    let family = row.get::<Option<TokenFamilyId>>("family_id")?;
    let (Some(role), Some(family)) = (row.get::<Option<String>>("role")?, family) else { return Ok(None) };
    let application: ApplicationId = row.get("application_id")?;
    let ceiling = match row.get::<Option<String>>("ceiling")? {
        Some(ceiling) => permissions_from_text(&ceiling),
        None if application == COMMAND_LINE => Permissions::all(),
        None => return Ok(None),
    };
    let role: Role = role.parse()?;
    let custom = custom_of(&row)?;
    let of_person = held(role, custom.as_ref(), row.get("operator")?);
    let scopes = permissions_from_text(&row.get::<String>("scopes")?);
    let permissions = scopes.intersection(of_person).intersection(ceiling);
    let tenant: TenantId = row.get("tenant_id")?;
    Ok(Some(Credential {
        id: CredentialId::TokenFamily(family),
        tenant,
        actor: Actor::Application { id: application, user: Some(person) },
        role,
        permissions,
        subject: super::sessions::subject(&row, role, custom.as_ref(), permissions)?,
        policies: row.get::<Option<u64>>("policies")?.unwrap_or(0),
        team: row.get("team_id")?,
        person: Some(person),
        teams: super::teams::of_person(tx, tenant, person).await?,
        usable: row.get::<Option<i64>>("disabled_at")?.is_none()
            && row.get::<Option<i64>>("application_disabled_at")?.is_none(),
        expires_at: Some(row.get("expires_at")?),
        idle_micros: 0,
        last_used_at: AtomicI64::new(row.get::<Option<i64>>("family_last_used_at")?.unwrap_or(0)),
        // What an application does is no proof of its person.
        authenticated_at: 0,
        methods: Methods::default(),
        networks: login_policy::stored_networks(row.optional_json("ip_ranges")?),
    }))
}

/// What the application may do for itself.
fn of_application(row: &Row) -> Result<Option<Credential>> {
    let Some(own) = row.get::<Option<String>>("own_permissions")? else { return Ok(None) };
    let application: ApplicationId = row.get("application_id")?;
    let permissions = permissions_from_text(&row.get::<String>("scopes")?).intersection(permissions_from_text(&own));
    let subject = Subject { role: Role::Service.to_string(), email_domain: String::new(), granted: permissions };
    Ok(Some(Credential {
        id: CredentialId::Application(application),
        tenant: row.get("tenant_id")?,
        actor: Actor::Application { id: application, user: None },
        role: Role::Service,
        permissions,
        subject: Arc::new(subject),
        policies: row.get::<Option<u64>>("policies")?.unwrap_or(0),
        team: None,
        person: None,
        teams: Arc::default(),
        usable: row.get::<Option<i64>>("application_disabled_at")?.is_none(),
        expires_at: Some(row.get("expires_at")?),
        idle_micros: 0,
        last_used_at: AtomicI64::new(row.get::<Option<i64>>("application_last_used_at")?.unwrap_or(0)),
        authenticated_at: 0,
        methods: Methods::default(),
        networks: Arc::default(),
    }))
}

pub(crate) async fn insert_family(tx: &mut Tx, family: &Family) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "INSERT INTO oauth_families
           (tenant_id, id, grant_id, application_id, user_id, scopes, authenticated_at, methods, created_at, expires_at,
            last_used_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $9)",
        [
            tenant.into(),
            family.id.into(),
            family.grant.into(),
            family.application.into(),
            family.user.into(),
            family.scopes.to_text().into(),
            family.authenticated_at.into(),
            family.methods.to_text().into(),
            family.created_at.into(),
            family.expires_at.into(),
        ],
    )
    .await?;
    Ok(())
}

/// Deletes a family with its tokens. False when it was gone already.
pub(crate) async fn delete_family(tx: &mut Tx, id: TokenFamilyId) -> Result<bool> {
    let tenant = tx.tenant()?;
    let deleted =
        tx.execute("DELETE FROM oauth_families WHERE tenant_id = $1 AND id = $2", [tenant.into(), id.into()]).await?;
    Ok(deleted > 0)
}

/// Across tenants. The condition also keeps several processes to one write a minute.
pub(crate) async fn note_use(tx: &mut Tx, tenant: TenantId, id: TokenFamilyId, used_at: Timestamp) -> Result<()> {
    tx.execute(
        "UPDATE oauth_families SET last_used_at = $3 WHERE tenant_id = $1 AND id = $2 AND last_used_at <= $4",
        [tenant.into(), id.into(), used_at.into(), (used_at - WRITTEN_EVERY_MICROS).into()],
    )
    .await?;
    Ok(())
}

/// Lets one transaction at a time renew or end a family. False when it is gone. SQLite has one writer anyway.
pub(crate) async fn lock_family(tx: &mut Tx, id: TokenFamilyId) -> Result<bool> {
    const LOCK: Sql = Sql::each(
        "SELECT id FROM oauth_families WHERE tenant_id = $1 AND id = $2",
        "SELECT id FROM oauth_families WHERE tenant_id = $1 AND id = $2 FOR UPDATE",
    );
    let tenant = tx.tenant()?;
    Ok(tx.fetch_optional(LOCK, [tenant.into(), id.into()]).await?.is_some())
}

pub(crate) async fn insert_access(
    tx: &mut Tx,
    token: &Fingerprint,
    application: ApplicationId,
    family: Option<TokenFamilyId>,
    scopes: Scopes,
    expires_at: Timestamp,
) -> Result<()> {
    let (tenant, now) = (tx.tenant()?, tx.ctx().now());
    tx.execute(
        "INSERT INTO oauth_access_tokens
           (tenant_id, token_hash, application_id, family_id, scopes, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        [
            tenant.into(),
            token.as_bytes().into(),
            application.into(),
            family.into(),
            scopes.to_text().into(),
            now.into(),
            expires_at.into(),
        ],
    )
    .await?;
    Ok(())
}

/// The row of a refresh token: the first half of its hash as base16.
pub(crate) fn refresh_id(token: &Fingerprint) -> String {
    token.as_bytes().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) async fn insert_refresh(
    tx: &mut Tx,
    token: &Fingerprint,
    family: TokenFamilyId,
    expires_at: Timestamp,
) -> Result<()> {
    let (tenant, now) = (tx.tenant()?, tx.ctx().now());
    tx.execute(
        "INSERT INTO oauth_refresh_tokens (tenant_id, id, token_hash, family_id, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
        [
            tenant.into(),
            refresh_id(token).into(),
            token.as_bytes().into(),
            family.into(),
            now.into(),
            expires_at.into(),
        ],
    )
    .await?;
    Ok(())
}

/// Across tenants for a system context: the refresh token and its family.
pub(crate) async fn refresh(tx: &mut Tx, token: &Fingerprint) -> Result<Option<RefreshToken>> {
    let row = tx
        .fetch_optional(
            "SELECT r.tenant_id, r.family_id, r.created_at, r.expires_at, r.used_at, r.successor_sealed, f.grant_id,
                    f.application_id, f.user_id, f.scopes AS family_scopes, f.authenticated_at, f.methods,
                    f.created_at AS family_created_at, f.expires_at AS family_expires_at
             FROM oauth_refresh_tokens r JOIN oauth_families f ON f.tenant_id = r.tenant_id AND f.id = r.family_id
             WHERE r.token_hash = $1",
            [token.as_bytes().into()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(RefreshToken {
        tenant: row.get("tenant_id")?,
        family: family_from_row(&row)?,
        created_at: row.get("created_at")?,
        expires_at: row.get("expires_at")?,
        used_at: row.get("used_at")?,
        successor: row.get("successor_sealed")?,
    }))
}

/// Marks a refresh token as used, with the sealed pair that takes its place. False when it was used already.
pub(crate) async fn use_refresh(tx: &mut Tx, token: &Fingerprint, successor: Vec<u8>) -> Result<bool> {
    let (tenant, now) = (tx.tenant()?, tx.ctx().now());
    let used = tx
        .execute(
            "UPDATE oauth_refresh_tokens SET used_at = $3, successor_sealed = $4
             WHERE tenant_id = $1 AND token_hash = $2 AND used_at IS NULL",
            [tenant.into(), token.as_bytes().into(), now.into(), successor.into()],
        )
        .await?;
    Ok(used > 0)
}

/// Forgets what a family does not need any more: pairs whose grace has ended, and access tokens that have expired.
pub(crate) async fn tidy_family(tx: &mut Tx, family: TokenFamilyId, used_before: Timestamp) -> Result<()> {
    let (tenant, now) = (tx.tenant()?, tx.ctx().now());
    tx.execute(
        "UPDATE oauth_refresh_tokens SET successor_sealed = $4
         WHERE tenant_id = $1 AND family_id = $2 AND used_at < $3 AND successor_sealed IS NOT NULL",
        [tenant.into(), family.into(), used_before.into(), Value::Blob(None)],
    )
    .await?;
    tx.execute(
        "DELETE FROM oauth_access_tokens WHERE tenant_id = $1 AND family_id = $2 AND expires_at <= $3",
        [tenant.into(), family.into(), now.into()],
    )
    .await?;
    Ok(())
}

/// Across tenants: an access token.
pub(crate) async fn access(tx: &mut Tx, token: &Fingerprint) -> Result<Option<AccessToken>> {
    let row = tx
        .fetch_optional(
            "SELECT t.tenant_id, t.application_id, t.family_id, t.scopes, t.created_at, t.expires_at, f.user_id
             FROM oauth_access_tokens t LEFT JOIN oauth_families f ON f.tenant_id = t.tenant_id AND f.id = t.family_id
             WHERE t.token_hash = $1",
            [token.as_bytes().into()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(AccessToken {
        tenant: row.get("tenant_id")?,
        application: row.get("application_id")?,
        family: row.get("family_id")?,
        user: row.get("user_id")?,
        scopes: Scopes::from_stored(&row.get::<String>("scopes")?),
        created_at: row.get("created_at")?,
        expires_at: row.get("expires_at")?,
    }))
}

pub(crate) async fn delete_access(tx: &mut Tx, token: &Fingerprint) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "DELETE FROM oauth_access_tokens WHERE tenant_id = $1 AND token_hash = $2",
        [tenant.into(), token.as_bytes().into()],
    )
    .await?;
    Ok(())
}

/// The tokens with which an application acts for itself.
pub(crate) async fn delete_own(tx: &mut Tx, application: ApplicationId) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "DELETE FROM oauth_access_tokens WHERE tenant_id = $1 AND application_id = $2 AND family_id IS NULL",
        [tenant.into(), application.into()],
    )
    .await?;
    Ok(())
}

/// The scopes of the access token that a person's information is asked with, if it is one.
pub(crate) async fn scopes_of(tx: &mut Tx, token: &Fingerprint) -> Result<Option<Scopes>> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional(
            "SELECT scopes FROM oauth_access_tokens WHERE tenant_id = $1 AND token_hash = $2",
            [tenant.into(), token.as_bytes().into()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Scopes::from_stored(&row.get::<String>("scopes")?)))
}

/// Across tenants: what nobody needs any more. Each statement is short, so that other writers get their turn.
pub(crate) async fn purge(tx: &mut Tx, now: Timestamp, grace_began: Timestamp, used_before: Timestamp) -> Result<u64> {
    tx.execute(
        "UPDATE oauth_refresh_tokens SET successor_sealed = $2 WHERE used_at < $1 AND successor_sealed IS NOT NULL",
        [grace_began.into(), Value::Blob(None)],
    )
    .await?;
    let mut deleted = 0;
    for statement in
        ["DELETE FROM oauth_access_tokens WHERE expires_at <= $1", "DELETE FROM oauth_families WHERE expires_at <= $1"]
    {
        deleted += tx.execute(statement, [now.into()]).await?;
    }
    deleted += tx.execute("DELETE FROM oauth_refresh_tokens WHERE used_at < $1", [used_before.into()]).await?;
    Ok(deleted)
}
