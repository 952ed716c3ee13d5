use std::fmt;

use plasma_kernel::{Actor, Ctx, Error, EventId, Origin, Page, PageRequest, RequestId, Result, TenantId, Timestamp};
use serde::Serialize;

use crate::{Row, Sql, Tx, Value, changes};

/// A change to be told: written by [`Tx::emit`] in the change's own transaction.
#[derive(Debug)]
pub struct NewEvent {
    kind: &'static str,
    subject: String,
    data: serde_json::Value,
    request: Option<RequestId>,
    by: Option<(Actor, Option<Origin>)>,
}

impl NewEvent {
    /// An event of type `kind` (`knowledge.document.ready`) about `subject` (an id). `data` holds what consumers need
    /// and no secret.
    pub fn new(kind: &'static str, subject: impl fmt::Display, data: serde_json::Value) -> Self {
        Self { kind, subject: subject.to_string(), data, request: None, by: None }
    }

    /// It happened in another request than the one that writes it down.
    pub fn in_request(mut self, request: RequestId) -> Self {
        self.request = Some(request);
        self
    }

    /// It was somebody else's doing than that of whoever writes it down: the actor, the request and the origin are those of
    /// `ctx`.
    pub fn by(mut self, ctx: &Ctx) -> Self {
        self.by = Some((ctx.actor().clone(), ctx.origin().cloned()));
        self.in_request(ctx.request())
    }

    /// Says what it changed: the fields of `before` and `after` that differ go under `before` and `after` of the event's
    /// data, secrets masked by their names and everything shortened. `null` stands for "was not there". They are for the
    /// audit log: what shows events to people leaves the two out.
    pub fn changed(mut self, before: serde_json::Value, after: serde_json::Value) -> Self {
        if let serde_json::Value::Object(data) = &mut self.data {
            let (before, after) = changes::difference(&before, &after);
            data.insert("before".to_owned(), before);
            data.insert("after".to_owned(), after);
        }
        self
    }
}

/// A record of the event log.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// Its id.
    pub id: EventId,
    /// Whose it is; `None` for the installation's own.
    #[serde(skip)]
    pub tenant: Option<TenantId>,
    /// What happened, as in `knowledge.document.ready`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The id of the thing that it happened to.
    pub subject: String,
    /// Who did it.
    pub actor: Actor,
    /// From where, when a request began it.
    #[serde(skip)]
    pub origin: Option<Origin>,
    /// The request or run in which it happened.
    pub request_id: String,
    /// When, in microseconds since 1970 UTC.
    pub at: Timestamp,
    /// Details, different for each type.
    pub data: serde_json::Value,
    /// Its place in the log.
    #[serde(skip)]
    pub position: EventPosition,
}

/// A place in the event log. On Postgres it orders by the writing transaction first, see `migrations/0001`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventPosition {
    pub(crate) transaction: i64,
    pub(crate) sequence: i64,
}

impl EventPosition {
    /// Before the first event.
    pub const START: Self = Self { transaction: 0, sequence: 0 };

    /// The event's number in the log. On Postgres numbers are given out before transactions commit, so that they do not order
    /// positions.
    pub fn sequence(self) -> u64 {
        u64::try_from(self.sequence).unwrap_or(0)
    }

    /// As text, for cursors that are kept outside SQL, such as in an index's own commit.
    pub fn to_text(self) -> String {
        format!("{}-{}", self.transaction, self.sequence)
    }

    /// Reads what [`EventPosition::to_text`] wrote; `None` when it is not that.
    pub fn from_text(text: &str) -> Option<Self> {
        let (transaction, sequence) = text.split_once('-')?;
        Some(Self { transaction: transaction.parse().ok()?, sequence: sequence.parse().ok()? })
    }
}

/// Which events a list shows.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// An exact type, or a prefix that ends in `.*`.
    pub kind: Option<String>,
}

// On SQLite `transaction_id` is always 0. Every consumer reads after every commit, so these walk the table's own order from
// the end that is asked for; with the pair in the comparison or the order SQLite would read and sort the whole log each time.
const AFTER: Sql = Sql::each(
    "SELECT * FROM events WHERE transaction_id >= $2 AND sequence > $3 AND ($1 IS NULL OR tenant_id = $1)
     ORDER BY sequence LIMIT $4",
    "SELECT * FROM events WHERE (transaction_id, sequence) > ($2, $3) AND ($1 IS NULL OR tenant_id = $1)
       AND transaction_id < pg_snapshot_xmin(pg_current_snapshot())::text::bigint
     ORDER BY transaction_id, sequence LIMIT $4",
);
const HEAD: Sql = Sql::each(
    "SELECT transaction_id, sequence FROM events ORDER BY sequence DESC LIMIT 1",
    "SELECT transaction_id, sequence FROM events
     WHERE transaction_id < pg_snapshot_xmin(pg_current_snapshot())::text::bigint
     ORDER BY transaction_id DESC, sequence DESC LIMIT 1",
);

impl Tx {
    /// Writes an event in this transaction.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn emit(&mut self, event: NewEvent) -> Result<EventId> {
        let ctx = self.ctx().clone();
        let id = EventId::new(&ctx);
        let (actor, origin) = match &event.by {
            Some((actor, origin)) => (actor, origin.as_ref()),
            None => (ctx.actor(), ctx.origin()),
        };
        let row = self
            .fetch_one(
                "INSERT INTO events (tenant_id, id, type, subject, actor, request_id, at, data, origin)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING transaction_id, sequence",
                [
                    ctx.tenant_scope().into(),
                    id.into(),
                    event.kind.into(),
                    event.subject.into(),
                    Value::json(actor)?,
                    event.request.unwrap_or(ctx.request()).into(),
                    ctx.now().into(),
                    event.data.to_string().into(),
                    Value::optional_json(origin)?,
                ],
            )
            .await?;
        self.note_event(EventPosition { transaction: row.get("transaction_id")?, sequence: row.get("sequence")? });
        Ok(id)
    }

    /// Up to `limit` committed events after `position`, in order: of the transaction's tenant, or of all for a system
    /// context. On Postgres it stops before the oldest transaction that still runs, so that nothing is stepped over.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn events_after(&mut self, position: EventPosition, limit: u32) -> Result<Vec<Event>> {
        let tenant = self.ctx().tenant_scope();
        self.fetch_all(AFTER, [tenant.into(), position.transaction.into(), position.sequence.into(), limit.into()])
            .await?
            .iter()
            .map(event_from_row)
            .collect()
    }

    /// The position before which everything has been written: a consumer that starts here sees what comes from now on.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn events_head(&mut self) -> Result<EventPosition> {
        let Some(row) = self.fetch_optional(HEAD, []).await? else { return Ok(EventPosition::START) };
        Ok(EventPosition { transaction: row.get("transaction_id")?, sequence: row.get("sequence")? })
    }

    /// Where the tenant's event `id` stands.
    ///
    /// # Errors
    /// `not_found` when the tenant has no such event.
    pub async fn event_position(&mut self, id: EventId) -> Result<EventPosition> {
        let tenant = self.tenant()?;
        let row = self
            .fetch_optional(
                "SELECT transaction_id, sequence FROM events WHERE tenant_id = $1 AND id = $2",
                [tenant.into(), id.into()],
            )
            .await?
            .ok_or_else(|| {
                Error::not_found("event_not_found", format!("there is no event {id}"))
                    .remedy("start without `after` to read from now on")
            })?;
        Ok(EventPosition { transaction: row.get("transaction_id")?, sequence: row.get("sequence")? })
    }

    /// One event of the tenant, or of the installation for a context without a tenant.
    ///
    /// # Errors
    /// `internal` when there is none: whoever asks has just written it.
    pub async fn event(&mut self, id: EventId) -> Result<Event> {
        event_from_row(&self.fetch_one("SELECT * FROM events WHERE id = $1", [id.into()]).await?)
    }

    /// Takes the details and origins out of events of `tenant` whose subject asked to be forgotten; that they happened stays.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn forget_event_details(&mut self, tenant: TenantId, ids: Value) -> Result<u64> {
        const FORGET: Sql = Sql::each(
            "UPDATE events SET data = '{}', origin = NULL
             WHERE tenant_id = $1 AND id IN (SELECT value FROM json_each($2))",
            "UPDATE events SET data = '{}', origin = NULL
             WHERE tenant_id = $1 AND id IN (SELECT jsonb_array_elements_text($2::jsonb))",
        );
        self.execute(FORGET, [tenant.into(), ids]).await
    }

    /// A page of the tenant's events, newest first.
    ///
    /// # Errors
    /// `invalid` for a wrong cursor, else as [`Tx::execute`].
    pub async fn events_page(&mut self, filter: &EventFilter, page: &PageRequest) -> Result<Page<Event>> {
        let before = match &page.cursor {
            None => EventPosition { transaction: i64::MAX, sequence: i64::MAX },
            Some(cursor) => EventPosition::from_text(cursor)
                .ok_or_else(|| Error::invalid("cursor", "is not a cursor of this list"))?,
        };
        // `knowledge.*` becomes the half-open range of texts that start with `knowledge.`; `/` follows `.` in ASCII.
        let (from, until) = match filter.kind.as_deref() {
            None => (String::new(), "~".to_owned()),
            Some(kind) => match kind.strip_suffix(".*") {
                Some(prefix) => (format!("{prefix}."), format!("{prefix}/")),
                None => (kind.to_owned(), format!("{kind}\u{1}")),
            },
        };
        let tenant = self.tenant()?;
        let rows = self
            .fetch_all(
                "SELECT * FROM events WHERE tenant_id = $1 AND (transaction_id, sequence) < ($2, $3)
                   AND type >= $4 AND type < $5
                 ORDER BY transaction_id DESC, sequence DESC LIMIT $6",
                [
                    Value::from(tenant),
                    before.transaction.into(),
                    before.sequence.into(),
                    from.into(),
                    until.into(),
                    page.fetch_limit().into(),
                ],
            )
            .await?;
        let events = rows.iter().map(event_from_row).collect::<Result<Vec<_>>>()?;
        Ok(Page::from_rows(events, page.limit, |event| event.position.to_text()))
    }
}

fn event_from_row(row: &Row) -> Result<Event> {
    Ok(Event {
        id: row.get("id")?,
        tenant: row.get("tenant_id")?,
        kind: row.get("type")?,
        subject: row.get("subject")?,
        actor: row.json("actor")?,
        origin: row.optional_json("origin")?,
        request_id: row.get("request_id")?,
        at: row.get("at")?,
        data: row.json("data")?,
        position: EventPosition { transaction: row.get("transaction_id")?, sequence: row.get("sequence")? },
    })
}

#[cfg(test)]
mod tests {
    use plasma_kernel::{Clock, Ctx, Random};

    use super::*;
    use crate::{Store, StoreConfig};

    /// How SQLite goes about a statement, a line for each step.
    async fn plan(store: &Store, statement: &str, parameters: Vec<Value>) -> Vec<String> {
        let ctx = Ctx::system("test", Clock::system(), Random::system());
        let statement: &'static str = Box::leak(format!("EXPLAIN QUERY PLAN {statement}").into_boxed_str());
        let steps = store.read(&ctx).await.unwrap().fetch_all(statement, parameters).await.unwrap();
        steps.iter().map(|step| step.get("detail").unwrap()).collect()
    }

    #[tokio::test]
    async fn reading_the_end_of_the_log_does_not_read_all_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(StoreConfig::sqlite(folder.path())).await.unwrap();
        let parameters = vec![Value::Text(None), 0_i64.into(), 7_i64.into(), 10_i64.into()];
        let after = plan(&store, AFTER.sqlite, parameters).await;
        assert_eq!(after, ["SEARCH events USING INTEGER PRIMARY KEY (rowid>?)"]);
        // A scan in the table's own order, which stops at the first row; no sorting.
        assert_eq!(plan(&store, HEAD.sqlite, Vec::new()).await, ["SCAN events"]);
    }
}
