//! What a node says of itself, for those who look after it.

use std::time::Duration;

use plasma_kernel::Result;
use sqlx::{PgConnection, Row as _};

use super::{
    SearchNode, ShardRow,
    endpoint::Endpoint,
    error::{node_error, still_unavailable, unavailable},
    position, schema,
    writer::shard_rows,
};
use crate::EventPosition;

/// How long a database may take to tell its state.
const STATUS_TIMEOUT: Duration = Duration::from_secs(3);

/// One database of a node.
#[derive(Clone, Debug)]
pub struct EndpointStatus {
    /// `primary` or `replica 1`.
    pub label: String,
    /// Why it does not answer; `None` when it does.
    pub error: Option<String>,
    /// Of Postgres.
    pub server_version: Option<String>,
    /// Of pgvector; `None` when it has none.
    pub pgvector_version: Option<String>,
    /// Bytes of the database.
    pub size_bytes: Option<u64>,
    /// Whether it follows another database.
    pub is_replica: bool,
    /// Up to where in the event log it is; `None` before something was written there.
    pub position: Option<EventPosition>,
}

impl SearchNode {
    /// The state of each of the node's databases, the primary first. Those that do not answer say why.
    pub async fn status(&self) -> Vec<EndpointStatus> {
        let mut asked = Vec::with_capacity(self.endpoints.len());
        for endpoint in &self.endpoints {
            asked.push(self.endpoint_status(endpoint));
        }
        futures::future::join_all(asked).await
    }

    async fn endpoint_status(&self, endpoint: &Endpoint) -> EndpointStatus {
        // A connection of its own: a future that ends too late is dropped.
        let asked = tokio::time::timeout(STATUS_TIMEOUT, status(endpoint, self.name())).await;
        let answer = asked.unwrap_or_else(|_| Err(unavailable(self.name(), "no answer within 3 s")));
        endpoint.note(&answer);
        answer.unwrap_or_else(|error| EndpointStatus {
            label: endpoint.label.clone(),
            error: Some(error.message().to_owned()),
            server_version: None,
            pgvector_version: None,
            size_bytes: None,
            is_replica: endpoint.label != "primary",
            position: None,
        })
    }

    /// All shards, as the primary has them.
    ///
    /// # Errors
    /// `unavailable` when it does not answer within three seconds.
    pub async fn shards(&self) -> Result<(EventPosition, Vec<ShardRow>)> {
        let primary = self.primary()?;
        if let Some(reason) = primary.failure() {
            return Err(still_unavailable(reason));
        }
        let asked = tokio::time::timeout(STATUS_TIMEOUT, async {
            // A connection of its own: this future may be dropped at any time.
            let mut connection = primary.connect(self.name()).await?;
            let read = node_position(&mut connection).await;
            let position = read.map_err(|error| node_error(self.name(), error))?;
            let rows = shard_rows(&mut connection).await.map_err(|error| node_error(self.name(), error))?;
            let _ = sqlx::Connection::close(connection).await;
            Ok::<_, plasma_kernel::Error>((position.unwrap_or(EventPosition::START), rows))
        })
        .await;
        let outcome = asked.unwrap_or_else(|_| Err(unavailable(self.name(), "no answer within 3 s")));
        primary.note(&outcome);
        outcome
    }
}

async fn node_position(connection: &mut PgConnection) -> Result<Option<EventPosition>, sqlx::Error> {
    let row = sqlx::query("SELECT transaction_id, sequence FROM plasma_search.node").fetch_optional(connection).await?;
    row.map(|row| Ok(position(row.try_get("transaction_id")?, row.try_get("sequence")?))).transpose()
}

async fn status(endpoint: &Endpoint, node: &str) -> Result<EndpointStatus> {
    let failed = |error| node_error(node, error);
    let mut connection = endpoint.connect(node).await?;
    let row = sqlx::query(
        "SELECT current_setting('server_version') AS server_version, pg_is_in_recovery() AS is_replica,
                pg_database_size(current_database()) AS size_bytes,
                to_regclass('plasma_search.node') IS NOT NULL AS is_made",
    )
    .fetch_one(&mut connection)
    .await
    .map_err(failed)?;
    let is_made: bool = row.try_get("is_made").map_err(failed)?;
    let size_bytes: i64 = row.try_get("size_bytes").map_err(failed)?;
    let pgvector_version = schema::extension_version(&mut connection).await.map_err(failed)?;
    let position = if is_made { node_position(&mut connection).await.map_err(failed)? } else { None };
    let _ = sqlx::Connection::close(connection).await;
    Ok(EndpointStatus {
        label: endpoint.label.clone(),
        error: None,
        server_version: Some(row.try_get("server_version").map_err(failed)?),
        pgvector_version,
        size_bytes: u64::try_from(size_bytes).ok(),
        is_replica: row.try_get("is_replica").map_err(failed)?,
        position,
    })
}
