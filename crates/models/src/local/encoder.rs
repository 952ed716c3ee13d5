//! Where an embedding model computes: on the processor, or on a GPU where the program was built for one.

use std::path::Path;

use plasma_kernel::Result;

use super::bert::Bert;
#[cfg(feature = "candle")]
use super::gpu::{self, GpuBert};
use crate::manifest::Precision;

/// Tokens that a thread works on before it looks at the queue again: some 60 ms on one core.
const UNIT_TOKENS: usize = 256;

/// A loaded embedding model.
pub(super) enum Encoder {
    Processor(Bert),
    #[cfg(feature = "candle")]
    Gpu(GpuBert),
}

/// Where models of a precision compute: `cpu`, or `cuda`. 8-bit integers are for the processor.
pub(super) fn device_name(precision: Precision) -> &'static str {
    match precision {
        #[cfg(feature = "candle")]
        Precision::F32 if gpu::device().is_some() => "cuda",
        Precision::F32 | Precision::Int8 => "cpu",
    }
}

impl Encoder {
    /// Reads a model's folder.
    pub fn load(directory: &Path, precision: Precision) -> Result<Self> {
        #[cfg(feature = "candle")]
        if precision == Precision::F32
            && let Some(device) = gpu::device()
        {
            return GpuBert::load(directory, device).map(Self::Gpu);
        }
        Bert::load(directory, precision).map(Self::Processor)
    }

    /// Length of the vectors.
    pub fn dimensions(&self) -> usize {
        match self {
            Self::Processor(bert) => bert.dimensions(),
            #[cfg(feature = "candle")]
            Self::Gpu(bert) => bert.dimensions(),
        }
    }

    /// Tokens that are best embedded in one go.
    pub fn unit_tokens(&self) -> usize {
        match self {
            Self::Processor(_) => UNIT_TOKENS,
            #[cfg(feature = "candle")]
            Self::Gpu(_) => gpu::UNIT_TOKENS,
        }
    }

    /// One vector of length 1 for each sequence of token ids.
    pub fn embed(&self, sequences: &[Vec<u32>]) -> Result<Vec<Vec<f32>>> {
        match self {
            Self::Processor(bert) => bert.embed(sequences),
            #[cfg(feature = "candle")]
            Self::Gpu(bert) => bert.embed(sequences),
        }
    }
}
