//! What can go wrong.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::types::{DIMENSIONS_MAX, LENGTH_MAX, LIMIT_MAX, THREADS_MAX};

/// Why an operation on an index failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The vector does not belong into this index.
    #[error("the vector has {got} dimensions, the index has {expected}")]
    Dimensions {
        /// Of the index.
        expected: usize,
        /// Of the vector.
        got: usize,
    },
    /// A number is NaN or infinite.
    #[error("number {position} of the vector is not finite")]
    NotFinite {
        /// From 0.
        position: usize,
    },
    /// A vector without a direction has no cosine.
    #[error("all numbers of the vector are zero, so that it has no direction to compare")]
    ZeroVector,
    /// Longer than what arithmetic in 32 bits can bear.
    #[error("the vector is longer than {LENGTH_MAX:e}")]
    TooLong,
    /// The index stores 16-bit numbers, which end at 65,504.
    #[error("number {position} of the vector does not fit into the 16-bit numbers of this index (up to 65504)")]
    OutOfHalfRange {
        /// From 0.
        position: usize,
    },
    /// The number of hits that were asked for.
    #[error("a search returns 1 to {LIMIT_MAX} hits, not {got}")]
    Limit {
        /// What was asked for.
        got: usize,
    },
    /// The number of threads that were asked for.
    #[error("a search uses 1 to {THREADS_MAX} threads, not {got}")]
    Threads {
        /// What was asked for.
        got: usize,
    },
    /// Numbers in a vector of an index.
    #[error("an index has 1 to {DIMENSIONS_MAX} dimensions, not {got}")]
    DimensionsRange {
        /// What was asked for.
        got: usize,
    },
    /// Another option that makes no sense.
    #[error("{0}")]
    Options(&'static str),
    /// The folder was made with other dimensions, another metric or another storage.
    #[error("{} holds an index with other options: {what}", file.display())]
    OtherOptions {
        /// Where it says so.
        file: PathBuf,
        /// What differs.
        what: &'static str,
    },
    /// The set of allowed slots was made for a view with other slots.
    #[error("the set of allowed vectors belongs to another view of the index: make it anew")]
    StaleAllowSet,
    /// More vectors than slots.
    #[error("an index holds at most 4294967295 vectors, deleted ones included until they are compacted")]
    Full,
    /// There is nothing to measure with.
    #[error("calibration needs sample queries and vectors to find")]
    NothingToMeasure,
    /// A file is not what was written; the index must be rebuilt from its source.
    #[error("{} is damaged ({what}): rebuild the index", file.display())]
    Damaged {
        /// Which file.
        file: PathBuf,
        /// What was wrong.
        what: &'static str,
    },
    /// A file of another version of this format.
    #[error("{} has format version {found}; this program reads {supported}", file.display())]
    Version {
        /// Which file.
        file: PathBuf,
        /// What it says.
        found: u32,
        /// What this program can read.
        supported: u32,
    },
    /// A write failed half-way and could not be undone. Reopen the index.
    #[error("an earlier write failed half-way: reopen the index")]
    Broken,
    /// The system refused.
    #[error("{}: {source}", file.display())]
    Io {
        /// Which file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The result of an operation on an index.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn damaged(file: &Path, what: &'static str) -> Self {
        Self::Damaged { file: file.to_owned(), what }
    }

    /// Whether the index must be thrown away and rebuilt from its source.
    pub fn needs_rebuild(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Version { .. })
    }
}

/// Names the file in an error of the system.
pub(crate) trait AtFile<T> {
    fn at(self, file: &Path) -> Result<T>;
}

impl<T> AtFile<T> for io::Result<T> {
    fn at(self, file: &Path) -> Result<T> {
        self.map_err(|source| Error::Io { file: file.to_owned(), source })
    }
}
