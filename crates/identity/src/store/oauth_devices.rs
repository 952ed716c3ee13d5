//! Devices that ask a person for access. Until somebody decides, a request of the built-in application belongs to no tenant, so
//! these statements find their row by its code.

use std::str::FromStr;

use plasma_kernel::{ApplicationId, Error, GrantId, Methods, Result, TenantId, Timestamp, UserId};
use plasma_store::{Row, Sql, Tx};

use crate::{oauth::Scopes, tokens::Fingerprint};

/// What has become of a device's question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeviceState {
    Pending,
    Allowed,
    Denied,
}

impl DeviceState {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Allowed => "allowed",
            Self::Denied => "denied",
        }
    }
}

impl FromStr for DeviceState {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        [Self::Pending, Self::Allowed, Self::Denied]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| Error::internal(format!("a device has the state `{text}`")))
    }
}

/// A device that asks.
pub(crate) struct Device {
    /// `None`: of the built-in application, and nobody has decided.
    pub(crate) tenant: Option<TenantId>,
    pub(crate) user_code: String,
    pub(crate) application: ApplicationId,
    pub(crate) scopes: Scopes,
    pub(crate) state: DeviceState,
    pub(crate) user: Option<UserId>,
    pub(crate) grant: Option<GrantId>,
    pub(crate) authenticated_at: Option<Timestamp>,
    pub(crate) methods: Methods,
    pub(crate) interval_seconds: i64,
    pub(crate) polled_at: Option<Timestamp>,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

/// Who decided, and under which grant.
pub(crate) struct Decision {
    pub(crate) tenant: TenantId,
    pub(crate) user: UserId,
    /// `None`: refused.
    pub(crate) grant: Option<GrantId>,
    pub(crate) authenticated_at: Option<Timestamp>,
    pub(crate) methods: Methods,
}

fn from_row(row: &Row) -> Result<Device> {
    Ok(Device {
        tenant: row.get("tenant_id")?,
        user_code: row.get("user_code")?,
        application: row.get("application_id")?,
        scopes: Scopes::from_stored(&row.get::<String>("scopes")?),
        state: row.get::<String>("state")?.parse()?,
        user: row.get("user_id")?,
        grant: row.get("grant_id")?,
        authenticated_at: row.get("authenticated_at")?,
        methods: Methods::from_text(&row.get::<String>("methods")?),
        interval_seconds: row.get("interval_seconds")?,
        polled_at: row.get("polled_at")?,
        created_at: row.get("created_at")?,
        expires_at: row.get("expires_at")?,
    })
}

pub(crate) async fn count(tx: &mut Tx) -> Result<i64> {
    tx.fetch_one("SELECT COUNT(*) AS devices FROM oauth_devices", []).await?.get("devices")
}

pub(crate) async fn insert(tx: &mut Tx, hash: &Fingerprint, device: &Device) -> Result<()> {
    tx.execute(
        "INSERT INTO oauth_devices
           (tenant_id, device_hash, user_code, application_id, scopes, state, methods, interval_seconds, created_at,
            expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        [
            device.tenant.into(),
            hash.as_bytes().into(),
            device.user_code.as_str().into(),
            device.application.into(),
            device.scopes.to_text().into(),
            device.state.as_str().into(),
            device.methods.to_text().into(),
            device.interval_seconds.into(),
            device.created_at.into(),
            device.expires_at.into(),
        ],
    )
    .await?;
    Ok(())
}

/// Across tenants: the request of this code, for this transaction alone until it ends. SQLite has one writer anyway.
pub(crate) async fn lock(tx: &mut Tx, hash: &Fingerprint) -> Result<Option<Device>> {
    const LOCK: Sql = Sql::each(
        "SELECT * FROM oauth_devices WHERE device_hash = $1",
        "SELECT * FROM oauth_devices WHERE device_hash = $1 FOR UPDATE",
    );
    let row = tx.fetch_optional(LOCK, [hash.as_bytes().into()]).await?;
    row.as_ref().map(from_row).transpose()
}

/// Across tenants: the request that shows this code to its person.
pub(crate) async fn by_user_code(tx: &mut Tx, user_code: &str) -> Result<Option<Device>> {
    let row = tx.fetch_optional("SELECT * FROM oauth_devices WHERE user_code = $1", [user_code.into()]).await?;
    row.as_ref().map(from_row).transpose()
}

/// The device has asked at this time, and waits at least `interval_seconds` until it asks again.
pub(crate) async fn note_poll(tx: &mut Tx, hash: &Fingerprint, at: Timestamp, interval_seconds: i64) -> Result<()> {
    tx.execute(
        "UPDATE oauth_devices SET polled_at = $2, interval_seconds = $3 WHERE device_hash = $1",
        [hash.as_bytes().into(), at.into(), interval_seconds.into()],
    )
    .await?;
    Ok(())
}

/// Across tenants: the person's decision. False when the code is gone, or somebody has decided already.
pub(crate) async fn decide(tx: &mut Tx, user_code: &str, decision: &Decision) -> Result<bool> {
    let state = if decision.grant.is_some() { DeviceState::Allowed } else { DeviceState::Denied };
    let decided = tx
        .execute(
            "UPDATE oauth_devices
             SET tenant_id = $2, user_id = $3, grant_id = $4, authenticated_at = $5, methods = $6, state = $7
             WHERE user_code = $1 AND state = 'pending' AND (tenant_id IS NULL OR tenant_id = $2)",
            [
                user_code.into(),
                decision.tenant.into(),
                decision.user.into(),
                decision.grant.into(),
                decision.authenticated_at.into(),
                decision.methods.to_text().into(),
                state.as_str().into(),
            ],
        )
        .await?;
    Ok(decided > 0)
}

/// Across tenants: the request is over.
pub(crate) async fn delete(tx: &mut Tx, hash: &Fingerprint) -> Result<()> {
    tx.execute("DELETE FROM oauth_devices WHERE device_hash = $1", [hash.as_bytes().into()]).await?;
    Ok(())
}

/// The request is over, and this is what was allowed; once. `None` when nothing was, or it is over already.
pub(crate) async fn take_allowed(tx: &mut Tx, hash: &Fingerprint) -> Result<Option<Device>> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional(
            "DELETE FROM oauth_devices WHERE tenant_id = $1 AND device_hash = $2 AND state = 'allowed' RETURNING *",
            [tenant.into(), hash.as_bytes().into()],
        )
        .await?;
    row.as_ref().map(from_row).transpose()
}

pub(crate) async fn delete_of_application(tx: &mut Tx, application: ApplicationId) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "DELETE FROM oauth_devices WHERE tenant_id = $1 AND application_id = $2",
        [tenant.into(), application.into()],
    )
    .await?;
    Ok(())
}

/// Across tenants: requests that ended before this time.
pub(crate) async fn purge(tx: &mut Tx, ended_before: Timestamp) -> Result<u64> {
    tx.execute("DELETE FROM oauth_devices WHERE expires_at < $1", [ended_before.into()]).await
}
