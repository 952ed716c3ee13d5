use std::collections::HashMap;

use plasma_kernel::{Error, Result, TenantId};
use plasma_store::Tx;

use crate::merkle::{Hash, Tile, Tiles, hashes_of};

async fn row(tx: &mut Tx, log: TenantId, level: u32, number: u64) -> Result<Option<Vec<Hash>>> {
    let row = tx
        .fetch_optional(
            "SELECT hashes FROM audit_tiles WHERE tenant_id = $1 AND level = $2 AND tile = $3",
            [log.into(), level.into(), number.into()],
        )
        .await?;
    row.map(|row| Ok(hashes_of(&row.get::<Vec<u8>>("hashes")?))).transpose()
}

fn damaged(log: TenantId) -> Error {
    Error::internal(format!("hashes of the audit log {log} are missing: run `plasma audit verify` on the database"))
}

/// The tree of `size` leaves, to add some.
pub(crate) async fn edge(tx: &mut Tx, log: TenantId, size: u64) -> Result<Tiles> {
    let mut rows = Vec::new();
    for (level, number, _) in Tiles::edge(size) {
        let hashes = row(tx, log, level, number).await?.ok_or_else(|| damaged(log))?;
        rows.push(Tile { level, number, hashes });
    }
    Tiles::new(size, rows).ok_or_else(|| damaged(log))
}

pub(crate) async fn put(tx: &mut Tx, log: TenantId, tiles: Vec<Tile>) -> Result<()> {
    for tile in tiles {
        tx.execute(
            "INSERT INTO audit_tiles (tenant_id, level, tile, hashes) VALUES ($1, $2, $3, $4)
             ON CONFLICT (tenant_id, level, tile) DO UPDATE SET hashes = excluded.hashes",
            [log.into(), tile.level.into(), tile.number.into(), tile.hashes.concat().into()],
        )
        .await?;
    }
    Ok(())
}

/// Numbers and hashes of rows of a level from `number` on, in order.
pub(crate) async fn rows(
    tx: &mut Tx,
    log: TenantId,
    level: u32,
    number: u64,
    limit: u32,
) -> Result<Vec<(u64, Vec<Hash>)>> {
    let rows = tx
        .fetch_all(
            "SELECT tile, hashes FROM audit_tiles WHERE tenant_id = $1 AND level = $2 AND tile >= $3
             ORDER BY tile LIMIT $4",
            [log.into(), level.into(), number.into(), limit.into()],
        )
        .await?;
    rows.iter().map(|row| Ok((row.get("tile")?, hashes_of(&row.get::<Vec<u8>>("hashes")?)))).collect()
}

/// Reads rows, each once.
pub(crate) struct Reader<'a> {
    tx: &'a mut Tx,
    log: TenantId,
    rows: HashMap<(u32, u64), Vec<Hash>>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(tx: &'a mut Tx, log: TenantId) -> Self {
        Self { tx, log, rows: HashMap::new() }
    }

    /// `count` hashes of a row from `first` on.
    pub(crate) async fn hashes(&mut self, level: u32, number: u64, first: usize, count: usize) -> Result<Vec<Hash>> {
        if !self.rows.contains_key(&(level, number)) {
            let hashes = row(self.tx, self.log, level, number).await?.ok_or_else(|| damaged(self.log))?;
            self.rows.insert((level, number), hashes);
        }
        let row = self.rows.get(&(level, number));
        let hashes = row.and_then(|row| row.get(first..first + count));
        hashes.map(<[Hash]>::to_vec).ok_or_else(|| damaged(self.log))
    }
}
