//! The log of calls, searched.

use plasma_kernel::{CallId, Page, PageRequest, Result, Timestamp};
use plasma_store::{Tx, page_key};

use super::calls::call;
use crate::{CallFilter, ModelCall};

/// Ids are made a moment before or after the time that stands in the record.
pub(super) const ID_SLACK_MS: i64 = 10;

/// The list by the index that begins with `$lead`. A condition that may be absent cannot choose an index, so that each index has
/// a text of its own. Ids are in the order of time: their range stands for that of times.
macro_rules! list_by {
    ($lead:literal) => {
        concat!(
            "SELECT * FROM model_calls WHERE tenant_id = $1 AND id < $2 AND id >= $3",
            $lead,
            " AND created_at >= $4 AND created_at < $5
               AND (CAST($6 AS TEXT) IS NULL OR model = $6)
               AND (CAST($7 AS TEXT) IS NULL OR substr(model, 1, length($7) + 1) = CAST($7 AS TEXT) || '/')
               AND (CAST($8 AS TEXT) IS NULL OR route = $8) AND (CAST($9 AS TEXT) IS NULL OR status = $9)
               AND (CAST($10 AS TEXT) IS NULL OR purpose = $10) AND (CAST($11 AS TEXT) IS NULL OR actor_id = $11)
               AND (CAST($12 AS BIGINT) IS NULL OR cost_micros >= $12)
               AND (CAST($13 AS BIGINT) IS NULL OR duration_ms >= $13)
               AND (CAST($14 AS TEXT) IS NULL OR prompt = $14)
               AND (CAST($15 AS BIGINT) IS NULL OR prompt_version = $15)
               AND (CAST($16 AS TEXT) IS NULL OR team_id = $16)
             ORDER BY id DESC LIMIT $17"
        )
    };
}

/// The text whose index leaves the fewest calls, as a rule.
fn statement(filter: &CallFilter) -> &'static str {
    if filter.key.is_some() || filter.user.is_some() {
        list_by!(" AND actor_id = $11")
    } else if filter.team.is_some() {
        list_by!(" AND team_id = $16")
    } else if filter.route.is_some() {
        list_by!(" AND route = $8")
    } else if filter.model.is_some() {
        list_by!(" AND model = $6")
    } else if filter.status.is_some() {
        list_by!(" AND status = $9")
    } else {
        list_by!("")
    }
}

/// The least id of a call that starts then.
pub(super) fn id_at(time: Timestamp, slack_ms: i64) -> String {
    const MILLISECONDS_MAX: i64 = (1 << 48) - 1;
    let milliseconds = (time / 1_000).saturating_add(slack_ms).clamp(0, MILLISECONDS_MAX);
    CallId::from_bits(u128::from(milliseconds.unsigned_abs()) << 80).to_string()
}

pub(crate) async fn list(tx: &mut Tx, filter: &CallFilter, page: &PageRequest) -> Result<Page<ModelCall>> {
    let tenant = tx.tenant()?;
    let before = filter.to.map(|to| id_at(to, ID_SLACK_MS));
    let before = [Some(page_key(page.cursor.as_deref())), before.as_deref()].into_iter().flatten().min();
    let key = filter.key.map(|id| id.to_string());
    let amount = |number: Option<u64>| number.map(|number| i64::try_from(number).unwrap_or(i64::MAX));
    let rows = tx
        .fetch_all(
            statement(filter),
            [
                tenant.into(),
                before.into(),
                id_at(filter.from.unwrap_or(0), -ID_SLACK_MS).into(),
                filter.from.unwrap_or(0).into(),
                filter.to.unwrap_or(i64::MAX).into(),
                filter.model.as_deref().into(),
                filter.provider.as_deref().into(),
                filter.route.as_deref().into(),
                filter.status.map(|status| status.as_str()).into(),
                filter.purpose.map(|purpose| purpose.as_str()).into(),
                key.or_else(|| filter.user.map(|id| id.to_string())).into(),
                amount(filter.cost_micros_min).into(),
                amount(filter.duration_ms_min).into(),
                filter.prompt.as_deref().into(),
                filter.prompt_version.map(i64::from).into(),
                filter.team.into(),
                page.fetch_limit().into(),
            ],
        )
        .await?;
    let calls = rows.iter().map(call).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_rows(calls, page.limit, |call| call.id.to_string()))
}
