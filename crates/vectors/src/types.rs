//! What goes in and what comes out.

use crate::{allow::AllowSet, error::Error, error::Result};

/// The largest number of dimensions.
pub const DIMENSIONS_MAX: usize = 4_096;
/// The largest number of hits of one search.
pub const LIMIT_MAX: usize = 10_000;
/// The largest number of threads of one operation.
pub const THREADS_MAX: usize = 256;
/// The largest Euclidean length of a vector (metrics dot and L2).
pub const LENGTH_MAX: f64 = 1e15;

/// How two vectors are compared. Scores are always such that more is nearer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Metric {
    /// Cosine of the angle, -1 to 1. Vectors are scaled to length 1 when they are inserted; their lengths are not kept.
    Cosine,
    /// Inner product.
    Dot,
    /// The score is minus the squared Euclidean distance.
    L2,
}

/// How vectors are kept on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Storage {
    /// 4 bytes a number; scores are exact.
    F32,
    /// 2 bytes a number (IEEE 754 half); scores are those of the rounded vectors.
    F16,
}

impl Storage {
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }
}

/// What an index is made for. Dimensions, metric and storage stay as they are; the rest may change from one opening to the
/// next.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Numbers in a vector, 1 to [`DIMENSIONS_MAX`].
    pub dimensions: usize,
    /// How vectors are compared.
    pub metric: Metric,
    /// How vectors are kept.
    pub storage: Storage,
    /// Whether each write waits until the disk has it. Without, `kill -9` loses nothing, but the loss of power may lose what was
    /// acknowledged in the last seconds ([`crate::VectorIndex::position`] then says how much).
    pub sync: bool,
    /// Vectors in memory before they become a segment, 1 to 1,000,000.
    pub tail_rows_max: usize,
    /// From so many vectors on, a segment is partitioned.
    pub partition_from_rows: usize,
    /// Vectors in a partition, on average, 16 to 100,000; larger in segments of more than two million.
    pub partition_rows: usize,
    /// A vector whose second nearest centre is not further away than so many times the nearest (1 to 4, squared distances) is
    /// found in both partitions. With 1 none is: on text embeddings the larger scans cost more than they find.
    pub spill_ratio: f32,
    /// Vectors that a step of a search must scan for a second thread to be worth its start (some 50 microseconds).
    pub parallel_from_rows: usize,
}

impl Options {
    /// The defaults: 32-bit storage.
    pub fn new(dimensions: usize, metric: Metric) -> Self {
        Self {
            dimensions,
            metric,
            storage: Storage::F32,
            sync: false,
            tail_rows_max: 4_096,
            partition_from_rows: 50_000,
            partition_rows: 128,
            spill_ratio: 1.0,
            parallel_from_rows: 100_000,
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        if !(1..=DIMENSIONS_MAX).contains(&self.dimensions) {
            return Err(Error::DimensionsRange { got: self.dimensions });
        }
        if !(1..=1_000_000).contains(&self.tail_rows_max) {
            return Err(Error::Options("tail_rows_max is 1 to 1000000"));
        }
        if !(16..=100_000).contains(&self.partition_rows) {
            return Err(Error::Options("partition_rows is 16 to 100000"));
        }
        if !(1.0..=4.0).contains(&self.spill_ratio) {
            return Err(Error::Options("spill_ratio is 1 to 4"));
        }
        Ok(())
    }
}

/// A change to an index.
#[derive(Clone, Copy, Debug)]
pub enum Change<'a> {
    /// A new vector, or another one for a key that exists.
    Insert {
        /// Any number, unique within the index.
        key: u128,
        /// As many finite numbers as the index has dimensions.
        vector: &'a [f32],
    },
    /// Hides a vector. A key that does not exist is no error.
    Delete {
        /// Of the vector.
        key: u128,
    },
}

/// How hard a search tries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effort {
    /// A partition is left out if even a member whose difference from the centre (of the usual length) points towards the
    /// query with this cosine would not be a hit. More finds more; with 1 nearly everything is scanned.
    pub reach: f32,
    /// Candidates that are compared exactly for 10 hits; for more hits, proportionally more.
    pub rescored: usize,
}

impl Effort {
    /// Without calibration: about 0.99 on text embeddings.
    pub const DEFAULT: Self = Self { reach: 0.55, rescored: 50 };
    /// Scans everything and compares all that could matter.
    pub const ALL: Self = Self { reach: f32::INFINITY, rescored: 500 };
}

/// What a search asks for.
#[derive(Clone, Copy, Debug)]
pub struct Search<'a> {
    /// Hits, 1 to [`LIMIT_MAX`].
    pub limit: usize,
    /// Only these; all without.
    pub allow: Option<&'a AllowSet>,
    /// Instead of the calibrated effort.
    pub effort: Option<Effort>,
    /// The recall holds for so many hits from the top, or for all without. Those after them are the best of what was scanned for these:
    /// candidates for whoever goes on with more than is shown.
    pub aim: Option<usize>,
    /// Threads for large scans, 1 to [`THREADS_MAX`]. The hits do not depend on it.
    pub threads: usize,
}

impl<'a> Search<'a> {
    /// Among all vectors, on the calling thread, with the calibrated effort.
    pub fn new(limit: usize) -> Self {
        Self { limit, allow: None, effort: None, aim: None, threads: 1 }
    }

    /// Only among these.
    pub fn allow(mut self, allow: &'a AllowSet) -> Self {
        self.allow = Some(allow);
        self
    }

    /// With this effort.
    pub fn effort(mut self, effort: Effort) -> Self {
        self.effort = Some(effort);
        self
    }

    /// With the recall for so many hits from the top.
    pub fn aim(mut self, hits: usize) -> Self {
        self.aim = Some(hits);
        self
    }

    /// On so many threads.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        if !(1..=LIMIT_MAX).contains(&self.limit) {
            return Err(Error::Limit { got: self.limit });
        }
        if !(1..=THREADS_MAX).contains(&self.threads) {
            return Err(Error::Threads { got: self.threads });
        }
        if self.effort.is_some_and(|effort| effort.reach.is_nan()) {
            return Err(Error::Options("the reach of a search is a number"));
        }
        Ok(())
    }
}

/// A vector that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// Of the vector.
    pub key: u128,
    /// See [`Metric`]; more is nearer.
    pub score: f32,
}

/// What a search did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Every allowed vector was compared exactly.
    pub exact: bool,
    /// Partitions whose codes were scanned.
    pub partitions: usize,
    /// Codes that were scanned.
    pub scanned: usize,
    /// Vectors that were compared exactly.
    pub compared: usize,
}

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Nearest first; equal scores by key.
    pub hits: Vec<Hit>,
    /// What it took.
    pub work: Work,
}
