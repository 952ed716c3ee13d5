#![doc = include_str!("../README.md")]

mod allow;
mod bits;
mod bytes;
mod calibrate;
mod candidates;
mod centers;
mod codes;
mod compact;
mod cpu;
mod error;
mod exact;
mod index;
mod journal;
mod kernels;
mod manifest;
mod partition;
mod rotation;
mod scan;
mod search;
mod segment;
mod shared;
mod signs;
mod stats;
mod tail;
mod types;
mod view;

pub use allow::AllowSet;
pub use calibrate::{Calibration, CalibrationOptions};
pub use compact::{Bulk, Compacted, Compaction};
pub use cpu::{Cpu, cpu};
pub use error::{Error, Result};
pub use index::VectorIndex;
pub use stats::Stats;
pub use types::{
    Change, DIMENSIONS_MAX, Effort, Found, Hit, LENGTH_MAX, LIMIT_MAX, Metric, Options, Search, Storage, THREADS_MAX,
    Work,
};
pub use view::{Part, View};
