//! Authorization codes.

use plasma_kernel::{ApplicationId, GrantId, Methods, Result, TenantId, Timestamp, TokenFamilyId, UserId};
use plasma_store::{Row, Sql, Tx};

use crate::{oauth::Scopes, tokens::Fingerprint};

/// What a code was given for.
pub(crate) struct AuthorizationCode {
    pub(crate) application: ApplicationId,
    pub(crate) user: UserId,
    pub(crate) grant: GrantId,
    pub(crate) redirect_uri: String,
    pub(crate) code_challenge: String,
    pub(crate) scopes: Scopes,
    pub(crate) nonce: Option<String>,
    pub(crate) authenticated_at: Option<Timestamp>,
    pub(crate) methods: Methods,
    pub(crate) expires_at: Timestamp,
    pub(crate) used_at: Option<Timestamp>,
    /// What was issued for it.
    pub(crate) family: Option<TokenFamilyId>,
}

fn from_row(row: &Row) -> Result<AuthorizationCode> {
    Ok(AuthorizationCode {
        application: row.get("application_id")?,
        user: row.get("user_id")?,
        grant: row.get("grant_id")?,
        redirect_uri: row.get("redirect_uri")?,
        code_challenge: row.get("code_challenge")?,
        scopes: Scopes::from_stored(&row.get::<String>("scopes")?),
        nonce: row.get("nonce")?,
        authenticated_at: row.get("authenticated_at")?,
        methods: Methods::from_text(&row.get::<String>("methods")?),
        expires_at: row.get("expires_at")?,
        used_at: row.get("used_at")?,
        family: row.get("family_id")?,
    })
}

pub(crate) async fn insert(tx: &mut Tx, hash: &Fingerprint, code: &AuthorizationCode) -> Result<()> {
    let (tenant, now) = (tx.tenant()?, tx.ctx().now());
    tx.execute(
        "INSERT INTO oauth_codes
           (tenant_id, code_hash, application_id, user_id, grant_id, redirect_uri, code_challenge, scopes, nonce,
            authenticated_at, methods, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        [
            tenant.into(),
            hash.as_bytes().into(),
            code.application.into(),
            code.user.into(),
            code.grant.into(),
            code.redirect_uri.as_str().into(),
            code.code_challenge.as_str().into(),
            code.scopes.to_text().into(),
            code.nonce.as_deref().into(),
            code.authenticated_at.into(),
            code.methods.to_text().into(),
            now.into(),
            code.expires_at.into(),
        ],
    )
    .await?;
    Ok(())
}

/// Across tenants: whose the code is, and for whom it was given.
pub(crate) async fn owner(tx: &mut Tx, hash: &Fingerprint) -> Result<Option<(TenantId, UserId)>> {
    let row = tx
        .fetch_optional("SELECT tenant_id, user_id FROM oauth_codes WHERE code_hash = $1", [hash.as_bytes().into()])
        .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some((row.get("tenant_id")?, row.get("user_id")?)))
}

/// The code, for this transaction alone until it ends. SQLite has one writer anyway.
pub(crate) async fn lock(tx: &mut Tx, hash: &Fingerprint) -> Result<Option<AuthorizationCode>> {
    const LOCK: Sql = Sql::each(
        "SELECT * FROM oauth_codes WHERE tenant_id = $1 AND code_hash = $2",
        "SELECT * FROM oauth_codes WHERE tenant_id = $1 AND code_hash = $2 FOR UPDATE",
    );
    let tenant = tx.tenant()?;
    let row = tx.fetch_optional(LOCK, [tenant.into(), hash.as_bytes().into()]).await?;
    row.as_ref().map(from_row).transpose()
}

/// The code is used up; `family` is what was issued for it.
pub(crate) async fn note_use(tx: &mut Tx, hash: &Fingerprint, family: Option<TokenFamilyId>) -> Result<()> {
    let (tenant, now) = (tx.tenant()?, tx.ctx().now());
    tx.execute(
        "UPDATE oauth_codes SET used_at = $3, family_id = $4 WHERE tenant_id = $1 AND code_hash = $2",
        [tenant.into(), hash.as_bytes().into(), now.into(), family.into()],
    )
    .await?;
    Ok(())
}

/// Across tenants: codes that ended before this time, used or not.
pub(crate) async fn purge(tx: &mut Tx, ended_before: Timestamp) -> Result<u64> {
    tx.execute("DELETE FROM oauth_codes WHERE expires_at < $1", [ended_before.into()]).await
}
