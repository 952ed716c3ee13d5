//! The state of search nodes, for those who look after them and for placements.

use std::collections::{BTreeMap, BTreeSet};

use plasma_kernel::{Code, Ctx, Permission, Result, TenantId};
use plasma_store::{
    EventPosition,
    search_node::{EndpointStatus, ShardRow, ShardTable},
};
use serde::Serialize;

use super::{Node, Writing, moving::ShardStatus};
use crate::Knowledge;

/// The search nodes of the installation.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct NodeStatuses {
    /// By name; none when the configuration has none.
    pub nodes: Vec<NodeStatus>,
}

/// A search node.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct NodeStatus {
    /// Its name in the configuration.
    pub name: String,
    /// Who writes to it: `here` (the process that answers), `elsewhere` (another process), `starting`, or `failed`.
    #[schema(example = "here")]
    pub writer: String,
    /// Why this process could not write.
    #[schema(required)]
    pub writer_error: Option<String>,
    /// The primary, then its replicas.
    pub databases: Vec<NodeDatabase>,
    /// Collections that have a part here; null when the primary does not answer.
    #[schema(required)]
    pub collections: Option<u64>,
    /// Parts of collections.
    #[schema(required)]
    pub shards: Option<u64>,
    /// Their passages.
    #[schema(required)]
    pub passages: Option<u64>,
}

/// A database of a search node.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct NodeDatabase {
    /// `primary` or `replica 1`.
    pub label: String,
    /// Whether it answers.
    pub ok: bool,
    /// Why it does not.
    #[schema(required)]
    pub error: Option<String>,
    /// Of Postgres.
    #[schema(required)]
    pub server_version: Option<String>,
    /// Of pgvector; null when it has none.
    #[schema(required)]
    pub pgvector_version: Option<String>,
    /// Bytes of the database.
    #[schema(required)]
    pub size_bytes: Option<u64>,
    /// Whether it follows another database.
    pub is_replica: bool,
    /// How old the oldest change is that it does not have yet, in milliseconds; 0 when it has all, null when that is not known.
    #[schema(required)]
    pub lag_ms: Option<u64>,
}

/// What some nodes say of all their shards.
pub(crate) struct NodeViews {
    nodes: BTreeMap<String, std::result::Result<NodeView, String>>,
}

struct NodeView {
    position: EventPosition,
    lag_ms: Option<u64>,
    shards: BTreeMap<ShardTable, ShardRow>,
}

impl NodeViews {
    fn view(&self, node: &str) -> Option<&NodeView> {
        self.nodes.get(node).and_then(|view| view.as_ref().ok())
    }

    /// Up to where in the event log a node is.
    pub(crate) fn position(&self, node: &str) -> Option<EventPosition> {
        self.view(node).map(|view| view.position)
    }

    /// What a node says of a tenant's shard.
    pub(crate) fn row(&self, tenant: TenantId, node: &str, table: ShardTable) -> Option<&ShardRow> {
        self.view(node).and_then(|view| view.shards.get(&table)).filter(|row| row.tenant == tenant)
    }

    /// The same for people.
    pub(crate) fn shard(&self, tenant: TenantId, node: &str, table: ShardTable) -> ShardStatus {
        let nothing = ShardStatus {
            number: table.number,
            node: node.to_owned(),
            state: "missing".to_owned(),
            detail: None,
            passages: 0,
            has_index: false,
            ef_search: None,
            recall: None,
            recall_low: None,
            lag_ms: self.view(node).and_then(|view| view.lag_ms),
        };
        if let Some(Err(reason)) = self.nodes.get(node) {
            return ShardStatus { state: "unreachable".to_owned(), detail: Some(reason.clone()), ..nothing };
        }
        let Some(row) = self.row(tenant, node, table) else { return nothing };
        ShardStatus {
            state: row.state.as_str().to_owned(),
            detail: row.reason.clone(),
            passages: row.passages,
            has_index: row.has_index,
            ef_search: row.has_index.then_some(row.ef_search),
            recall: row.recall,
            recall_low: row.recall_low,
            ..nothing
        }
    }
}

impl Knowledge {
    /// The state of all search nodes.
    ///
    /// # Errors
    /// `forbidden` without `installation:read`; what is wrong with a node is in the answer.
    pub async fn search_nodes(&self, ctx: &Ctx) -> Result<NodeStatuses> {
        ctx.require(Permission::InstallationRead)?;
        let mut asked = Vec::new();
        for node in self.nodes().iter() {
            asked.push(self.node_status(node));
        }
        Ok(NodeStatuses { nodes: futures::future::join_all(asked).await })
    }

    async fn node_status(&self, node: &Node) -> NodeStatus {
        let databases = node.database.status().await;
        let shards = node.database.shards().await.ok().map(|(_, shards)| shards);
        let (writer, writer_error) = match node.writing() {
            Writing::Starting => ("starting", None),
            Writing::Here => ("here", None),
            Writing::Elsewhere => ("elsewhere", None),
            Writing::Failed(reason) => ("failed", Some(reason)),
        };
        let mut shown = Vec::with_capacity(databases.len());
        for database in databases {
            shown.push(self.database_status(database).await);
        }
        let collections = shards
            .as_ref()
            .map(|rows| rows.iter().map(|row| row.table.collection).collect::<BTreeSet<_>>().len() as u64);
        NodeStatus {
            name: node.database.name().to_owned(),
            writer: writer.to_owned(),
            writer_error,
            databases: shown,
            collections,
            shards: shards.as_ref().map(|rows| rows.len() as u64),
            passages: shards.as_ref().map(|rows| rows.iter().map(|row| row.passages).sum()),
        }
    }

    async fn database_status(&self, database: EndpointStatus) -> NodeDatabase {
        let lag_ms = match database.position {
            Some(position) => self.lag_ms(position).await,
            None => None,
        };
        NodeDatabase {
            label: database.label,
            ok: database.error.is_none(),
            error: database.error,
            server_version: database.server_version,
            pgvector_version: database.pgvector_version,
            size_bytes: database.size_bytes,
            is_replica: database.is_replica,
            lag_ms,
        }
    }

    /// How old the oldest event after `position` is; `None` when the event log cannot be read now.
    async fn lag_ms(&self, position: EventPosition) -> Option<u64> {
        let ctx = self.ctx();
        let mut tx = self.store().read(ctx).await.ok()?;
        let next = tx.events_after(position, 1).await.ok()?;
        let age = next.first().map_or(0, |event| (ctx.now() - event.at).max(0) / 1_000);
        u64::try_from(age).ok()
    }

    /// What these nodes say of their shards; each is asked once.
    pub(crate) async fn node_views<'a>(&self, names: impl Iterator<Item = &'a str>) -> NodeViews {
        let names: BTreeSet<&str> = names.collect();
        let mut asked = Vec::with_capacity(names.len());
        for name in names {
            asked.push(async move { (name.to_owned(), self.node_view(name).await) });
        }
        NodeViews { nodes: futures::future::join_all(asked).await.into_iter().collect() }
    }

    async fn node_view(&self, name: &str) -> std::result::Result<NodeView, String> {
        let asked = match self.nodes().get(name) {
            Ok(node) => node.database.shards().await,
            Err(error) => Err(error),
        };
        match asked {
            Ok((position, rows)) => Ok(NodeView {
                position,
                lag_ms: self.lag_ms(position).await,
                shards: rows.into_iter().map(|row| (row.table, row)).collect(),
            }),
            Err(error) if error.code() == Code::Internal => {
                tracing::warn!(?error, node = name, "a search node cannot be looked at");
                Err("it failed; the log says how".to_owned())
            }
            Err(error) => Err(error.message().to_owned()),
        }
    }
}
