//! A shard's index, and how thoroughly it has to search: measured against comparing everything.

use plasma_kernel::{Code, Error, Random, Result, Timestamp};
use sqlx::{Connection as _, Executor as _, PgConnection, Row as _, postgres::PgRow};

use super::{
    SearchNode, ShardTable,
    error::node_error,
    names::SCHEMA,
    reader::{EF_SEARCH_MAX, EXACTLY},
};

/// Any constant: one index is built on a node at a time.
const BUILD_LOCK: i64 = 0x706c_6173_6d64;
/// Neighbours that are compared.
const NEIGHBOURS: usize = 10;
/// Passages whose neighbours are looked for; fewer where comparing everything takes long.
const SAMPLES: usize = 64;
const SAMPLES_OF_LARGE: usize = 24;
const LARGE_PASSAGES: u64 = 1_000_000;
/// The efforts that are tried, the least first.
const EFFORTS: [i64; 8] = [40, 60, 100, 150, 250, 400, 600, EF_SEARCH_MAX];
/// Distances that differ by less are the same: half precision has no more.
const TIE: f64 = 1e-6;

/// How an index is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexShape {
    /// Links of a passage on each layer.
    pub m: usize,
    /// Candidates that are kept while a passage is put in.
    pub ef_construction: usize,
}

impl IndexShape {
    /// Denser for a target above 99.5%, where a sparser one would need too long a search.
    pub fn for_target(recall_target: f64) -> Self {
        if recall_target > 0.995 { Self { m: 24, ef_construction: 200 } } else { Self { m: 16, ef_construction: 128 } }
    }
}

/// What is to be built and measured.
#[derive(Clone, Debug)]
pub struct BuildPlan {
    /// Which shard.
    pub table: ShardTable,
    /// Numbers in a vector.
    pub dimensions: usize,
    /// Its passages, as far as is known.
    pub passages: u64,
    /// The share of the truly nearest passages that a search is to find.
    pub recall_target: f64,
}

struct Sample {
    document: i64,
    passage: i64,
    vector: Vec<f32>,
    /// Distances of its nearest neighbours, by comparing everything.
    nearest: Vec<f64>,
}

struct Measured {
    ef_search: i64,
    recall: f64,
    recall_low: f64,
}

impl SearchNode {
    /// Builds a shard's index unless it has a sound one, measures how well it finds, and chooses the least effort that reaches the
    /// target. The shard goes on answering and being written to. On a connection of its own, for as long as it takes.
    ///
    /// # Errors
    /// `conflict` (`search_index_busy`) while another index of the node is being built, `unavailable` from the node.
    pub async fn build(&self, plan: &BuildPlan, random: &Random, now: Timestamp) -> Result<()> {
        let failed = |error| node_error(self.name(), error);
        let mut connection = self.primary()?.connect(self.name()).await?;
        let is_ours: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
            .bind(BUILD_LOCK)
            .fetch_one(&mut connection)
            .await
            .map_err(failed)?;
        if !is_ours {
            let message = format!("another index is being built on the search node `{}`", self.name());
            return Err(Error::new(Code::Conflict, "search_index_busy", message));
        }
        make_index(&mut connection, plan).await.map_err(failed)?;
        let measured = measure(&mut connection, plan, random).await.map_err(failed)?;
        save(&mut connection, plan, &measured, now).await.map_err(failed)?;
        // Its end gives the lock back either way.
        let _ = connection.close().await;
        Ok(())
    }
}

/// Whether the shard has an index, and whether that is sound: one whose making was interrupted is not.
async fn index_is_valid(connection: &mut PgConnection, table: ShardTable) -> Result<Option<bool>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
         JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2",
    )
    .bind(SCHEMA)
    .bind(table.index_name())
    .fetch_optional(connection)
    .await
}

async fn make_index(connection: &mut PgConnection, plan: &BuildPlan) -> Result<(), sqlx::Error> {
    match index_is_valid(connection, plan.table).await? {
        Some(true) => return Ok(()),
        Some(false) => drop_index(connection, plan.table).await?,
        None => {}
    }
    let shape = IndexShape::for_target(plan.recall_target);
    // The graph is built in memory as long as it fits: vectors of two bytes a number, and links.
    let bytes = plan.passages.saturating_mul((plan.dimensions * 2 + shape.m * 24 + 128) as u64);
    let memory_mb = (bytes / (1 << 20) * 5 / 4).clamp(64, 1_024);
    sqlx::query("SELECT set_config('maintenance_work_mem', $1, false)")
        .bind(format!("{memory_mb}MB"))
        .execute(&mut *connection)
        .await?;
    let Err(error) = create_index(connection, plan.table, shape).await else { return Ok(()) };
    // Several processes share what they build through /dev/shm, which is small in many containers: one does without.
    let is_memory =
        matches!(&error, sqlx::Error::Database(error) if error.code().is_some_and(|code| code.starts_with("53")));
    if !is_memory {
        return Err(error);
    }
    drop_index(connection, plan.table).await?;
    connection.execute("SET max_parallel_maintenance_workers = 0").await?;
    create_index(connection, plan.table, shape).await
}

/// Neither can run in a transaction; both let searches and writes go on.
async fn create_index(connection: &mut PgConnection, table: ShardTable, shape: IndexShape) -> Result<(), sqlx::Error> {
    const CREATE: &str = "CREATE INDEX CONCURRENTLY {index} ON {table} USING hnsw (embedding halfvec_cosine_ops)
        WITH (m = {m}, ef_construction = {ef_construction})";
    let numbers = [("{m}", shape.m), ("{ef_construction}", shape.ef_construction)];
    connection.execute(sqlx::raw_sql(table.statement_with(CREATE, &numbers))).await.map(drop)
}

async fn drop_index(connection: &mut PgConnection, table: ShardTable) -> Result<(), sqlx::Error> {
    const DROP: &str = "DROP INDEX CONCURRENTLY IF EXISTS {index_in_schema}";
    connection.execute(sqlx::raw_sql(table.statement(DROP))).await.map(drop)
}

async fn measure(connection: &mut PgConnection, plan: &BuildPlan, random: &Random) -> Result<Measured, sqlx::Error> {
    connection.execute(sqlx::raw_sql(plan.table.statement("ANALYZE {table}"))).await?;
    connection.execute("SET plan_cache_mode = force_custom_plan").await?;
    let wanted = if plan.passages > LARGE_PASSAGES { SAMPLES_OF_LARGE } else { SAMPLES };
    let mut samples = Vec::with_capacity(wanted);
    for _ in 0..wanted {
        if let Some(sample) = sample(connection, plan.table, i64::from_le_bytes(random.bytes())).await? {
            samples.push(sample);
        }
    }
    let mut tx = connection.begin().await?;
    sqlx::query(EXACTLY).execute(&mut *tx).await?;
    for sample in &mut samples {
        sample.nearest = distances(&mut tx, plan.table, sample).await?;
    }
    tx.commit().await?;
    let mut measured = Measured { ef_search: EF_SEARCH_MAX, recall: 1.0, recall_low: 1.0 };
    for ef_search in EFFORTS {
        let recalls = recalls(connection, plan.table, &samples, ef_search).await?;
        let (recall, recall_low) = mean_and_low(&recalls);
        measured = Measured { ef_search, recall, recall_low };
        if recall >= plan.recall_target {
            break;
        }
    }
    Ok(measured)
}

/// The first passage with a direction from a place on. Documents' keys are random, so that a random place is a random document.
async fn sample(connection: &mut PgConnection, table: ShardTable, from: i64) -> Result<Option<Sample>, sqlx::Error> {
    const SAMPLE: &str = "SELECT document, passage, embedding::real[] AS vector FROM {table}
        WHERE document >= $1 AND embedding IS NOT NULL ORDER BY document, passage LIMIT 1";
    let row = sqlx::query(table.statement(SAMPLE)).bind(from).fetch_optional(connection).await?;
    row.map(|row| {
        Ok(Sample {
            document: row.try_get("document")?,
            passage: row.try_get("passage")?,
            vector: row.try_get("vector")?,
            nearest: Vec::new(),
        })
    })
    .transpose()
}

/// The distances of a sample's nearest neighbours, itself left out.
async fn distances(connection: &mut PgConnection, table: ShardTable, sample: &Sample) -> Result<Vec<f64>, sqlx::Error> {
    const NEAREST: &str = "SELECT document, passage, embedding <=> $1::real[]::halfvec AS distance FROM {table}
        WHERE embedding IS NOT NULL ORDER BY distance LIMIT $2";
    let rows = sqlx::query(table.statement(NEAREST))
        .bind(sample.vector.clone())
        .bind(i64::try_from(NEIGHBOURS + 1).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await?;
    let others = rows.iter().filter_map(|row| other_than(row, sample).transpose());
    let mut distances = others.collect::<Result<Vec<f64>, _>>()?;
    distances.sort_by(f64::total_cmp);
    distances.truncate(NEIGHBOURS);
    Ok(distances)
}

fn other_than(row: &PgRow, sample: &Sample) -> Result<Option<f64>, sqlx::Error> {
    let (document, passage): (i64, i64) = (row.try_get("document")?, row.try_get("passage")?);
    let is_itself = (document, passage) == (sample.document, sample.passage);
    Ok(if is_itself { None } else { Some(row.try_get("distance")?) })
}

/// For each sample, the share of its neighbours that the index finds.
async fn recalls(
    connection: &mut PgConnection,
    table: ShardTable,
    samples: &[Sample],
    ef_search: i64,
) -> Result<Vec<f64>, sqlx::Error> {
    let mut tx = connection.begin().await?;
    sqlx::query(
        "SELECT set_config('hnsw.iterative_scan', 'relaxed_order', true), set_config('hnsw.ef_search', $1, true),
                set_config('enable_seqscan', 'off', true)",
    )
    .bind(ef_search.to_string())
    .execute(&mut *tx)
    .await?;
    let mut recalls = Vec::with_capacity(samples.len());
    for sample in samples {
        let found = distances(&mut tx, table, sample).await?;
        recalls.push(recall(&sample.nearest, &found));
    }
    tx.commit().await?;
    Ok(recalls)
}

/// What lies no further than the furthest true neighbour is one of them: passages with the same vector are many.
fn recall(nearest: &[f64], found: &[f64]) -> f64 {
    let Some(furthest) = nearest.last() else { return 1.0 };
    let right = found.iter().filter(|distance| **distance <= furthest + TIE).count().min(nearest.len());
    right as f64 / nearest.len() as f64
}

/// The mean, and the lower end of its 95% confidence interval.
fn mean_and_low(recalls: &[f64]) -> (f64, f64) {
    if recalls.is_empty() {
        return (1.0, 1.0);
    }
    let number = recalls.len() as f64;
    let mean = recalls.iter().sum::<f64>() / number;
    let variance = recalls.iter().map(|recall| (recall - mean).powi(2)).sum::<f64>() / (number - 1.0).max(1.0);
    (mean, (mean - 1.96 * (variance / number).sqrt()).max(0.0))
}

async fn save(
    connection: &mut PgConnection,
    plan: &BuildPlan,
    measured: &Measured,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE plasma_search.shards
         SET has_index = true, state = CASE WHEN state = 'indexing' THEN 'ready' ELSE state END, ef_search = $4, recall = $5,
             recall_low = $6, recall_target = $7, measured_passages = passages, measured_at = $8
         WHERE collection = $1 AND generation = $2 AND number = $3",
    )
    .bind(plan.table.collection.to_string())
    .bind(i64::from(plan.table.generation))
    .bind(i64::from(plan.table.number))
    .bind(measured.ef_search)
    .bind(measured.recall)
    .bind(measured.recall_low)
    .bind(plan.recall_target)
    .bind(now)
    .execute(connection)
    .await
    .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recall_counts_what_is_as_near_as_the_truth() {
        assert!((recall(&[0.1, 0.2, 0.3, 0.4], &[0.1, 0.3, 0.5]) - 0.5).abs() < 1e-9);
        assert!((recall(&[0.1, 0.2], &[0.1, 0.2, 0.2, 0.2]) - 1.0).abs() < 1e-9);
        assert!((recall(&[], &[0.1]) - 1.0).abs() < 1e-9);
        let (mean, low) = mean_and_low(&[1.0, 1.0, 0.8, 1.0]);
        assert!((mean - 0.95).abs() < 1e-9 && low < mean && low > 0.8);
    }

    #[test]
    fn a_higher_target_has_a_denser_index() {
        assert!(IndexShape::for_target(0.999).m > IndexShape::for_target(0.99).m);
    }
}
