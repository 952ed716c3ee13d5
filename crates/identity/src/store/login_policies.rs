use plasma_kernel::{Error, Methods, Result, TenantId};
use plasma_store::{Tx, Value};

use crate::{LoginPolicy, login_policy};

/// The policy of the transaction's tenant, or the default one.
pub(crate) async fn get(tx: &mut Tx) -> Result<LoginPolicy> {
    let tenant = tx.tenant()?;
    of(tx, tenant).await
}

/// The policy of a tenant, for whoever is not bound to it yet.
pub(crate) async fn of(tx: &mut Tx, tenant: TenantId) -> Result<LoginPolicy> {
    let row = tx.fetch_optional("SELECT * FROM login_policies WHERE tenant_id = $1", [tenant.into()]).await?;
    let Some(row) = row else { return Ok(LoginPolicy::default()) };
    Ok(LoginPolicy {
        methods: Methods::from_text(&row.get::<String>("methods")?),
        mfa_required: row.get("mfa_required")?,
        mfa_required_at: row.get("mfa_required_at")?,
        mfa_grace_micros: row.get("mfa_grace_micros")?,
        session_micros: row.get("session_micros")?,
        idle_micros: row.get("idle_micros")?,
        ip_ranges: login_policy::stored_networks(Some(row.json("ip_ranges")?)).to_vec(),
        updated_at: Some(row.get("updated_at")?),
    })
}

pub(crate) async fn put(tx: &mut Tx, policy: &LoginPolicy) -> Result<()> {
    let tenant = tx.tenant()?;
    let ranges: Vec<String> = policy.ip_ranges.iter().map(ToString::to_string).collect();
    let updated_at = policy.updated_at.ok_or_else(|| Error::internal("a policy is stored with its time"))?;
    tx.execute(
        "INSERT INTO login_policies (tenant_id, methods, mfa_required, mfa_required_at, mfa_grace_micros, session_micros,
                                     idle_micros, ip_ranges, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (tenant_id) DO UPDATE
           SET methods = excluded.methods, mfa_required = excluded.mfa_required,
               mfa_required_at = excluded.mfa_required_at, mfa_grace_micros = excluded.mfa_grace_micros,
               session_micros = excluded.session_micros, idle_micros = excluded.idle_micros,
               ip_ranges = excluded.ip_ranges, updated_at = excluded.updated_at",
        [
            tenant.into(),
            policy.methods.to_text().into(),
            policy.mfa_required.into(),
            policy.mfa_required_at.into(),
            policy.mfa_grace_micros.into(),
            policy.session_micros.into(),
            policy.idle_micros.into(),
            Value::json(&ranges)?,
            updated_at.into(),
        ],
    )
    .await?;
    Ok(())
}
