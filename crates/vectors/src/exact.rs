//! Exact search: every vector is compared. The measure of all recall.

use crate::{
    allow::AllowSet,
    candidates::Nearest,
    error::{Error, Result},
    kernels,
    partition::in_chunks,
    types::{Hit, Search},
    view::View,
};

/// Rows that a thread takes at a time.
const CHUNK_ROWS: usize = 8_192;
/// Rows that are compared with a query while it is in the first-level cache.
const TILE_ROWS: usize = 16;

impl View {
    /// The nearest vectors to each of several queries, by comparing all: each vector is read once for all queries.
    ///
    /// # Errors
    ///
    /// A query does not fit the index, a limit is out of range, the allow set is stale, or a file is damaged.
    pub fn search_exact(
        &self,
        queries: &[Vec<f32>],
        limit: usize,
        allow: Option<&AllowSet>,
        threads: usize,
    ) -> Result<Vec<Vec<Hit>>> {
        Search::new(limit).threads(threads).check()?;
        if allow.is_some_and(|allow| allow.layout != self.layout) {
            return Err(Error::StaleAllowSet);
        }
        let queries = queries.iter().map(|query| self.shared.accept(query)).collect::<Result<Vec<_>>>()?;
        let new = || vec![Nearest::new(limit); queries.len()];
        let mut all = new();
        let mut merge = |parts: Vec<Vec<Nearest>>| {
            for part in parts {
                for (all, part) in all.iter_mut().zip(part) {
                    all.append(part);
                }
            }
        };
        let (metric, dimensions) = (self.shared.options.metric, self.shared.options.dimensions);
        for placed in self.placed.iter() {
            merge(in_chunks(placed.segment.rows(), CHUNK_ROWS, threads, |range| {
                let mut nearest = new();
                let allowed = |row: &usize| allow.is_none_or(|allow| allow.contains(placed.base + *row as u32));
                let rows: Vec<usize> = range.filter(|row| !placed.deleted.contains(*row)).filter(allowed).collect();
                let mut tile = vec![0.0; TILE_ROWS * dimensions];
                for rows in rows.chunks(TILE_ROWS) {
                    for (row, vector) in rows.iter().zip(tile.chunks_exact_mut(dimensions)) {
                        placed.segment.read(*row, vector)?;
                    }
                    for (query, nearest) in queries.iter().zip(&mut nearest) {
                        for (row, vector) in rows.iter().zip(tile.chunks_exact(dimensions)) {
                            let score = kernels::score_plain(metric, vector, query);
                            nearest.push(|| placed.segment.key(*row).unwrap_or_default(), score);
                        }
                    }
                }
                Ok(nearest)
            })?);
        }
        let mut nearest = new();
        let base = self.tail_base();
        for (row, key, vector) in self.tail.iter() {
            if allow.is_none_or(|allow| allow.contains(base + row as u32)) {
                for (query, nearest) in queries.iter().zip(&mut nearest) {
                    nearest.push(|| key, self.shared.score(vector, query));
                }
            }
        }
        merge(vec![nearest]);
        Ok(all.into_iter().map(Nearest::into_hits).collect())
    }
}
