//! What all parts of an index have in common.

use std::sync::{Arc, OnceLock};

use crate::{
    codes::Layout,
    error::{Error, Result},
    kernels,
    rotation::{GROUP, Rotation},
    types::{LENGTH_MAX, Metric, Options, Storage},
};

/// Options and what follows from them.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    rotation: OnceLock<Rotation>,
}

impl Shared {
    pub(crate) fn new(options: Options) -> Arc<Self> {
        Arc::new(Self { options, rotation: OnceLock::new() })
    }

    /// Made when the first segment needs it: a small collection never does.
    pub(crate) fn rotation(&self) -> &Rotation {
        self.rotation.get_or_init(|| Rotation::new(self.options.dimensions))
    }

    pub(crate) fn layout(&self) -> Layout {
        Layout {
            padded: self.options.dimensions.next_multiple_of(GROUP),
            has_summands: self.options.metric == Metric::L2,
        }
    }

    /// Bytes of a stored vector.
    pub(crate) fn vector_bytes(&self) -> usize {
        self.options.dimensions * self.options.storage.bytes()
    }

    /// Checks a vector from outside, and scales it to length 1 for the cosine.
    pub(crate) fn accept(&self, vector: &[f32]) -> Result<Vec<f32>> {
        let expected = self.options.dimensions;
        if vector.len() != expected {
            return Err(Error::Dimensions { expected, got: vector.len() });
        }
        if let Some(position) = vector.iter().position(|number| !number.is_finite()) {
            return Err(Error::NotFinite { position });
        }
        let length = vector.iter().map(|number| f64::from(*number).powi(2)).sum::<f64>().sqrt();
        if self.options.metric != Metric::Cosine {
            return if length > LENGTH_MAX { Err(Error::TooLong) } else { Ok(vector.to_vec()) };
        }
        if length == 0.0 {
            return Err(Error::ZeroVector);
        }
        Ok(vector.iter().map(|number| (f64::from(*number) / length) as f32).collect())
    }

    /// The same for a vector that will be stored: rounded as the storage rounds it, so that it does not change later.
    pub(crate) fn accept_stored(&self, vector: &[f32]) -> Result<Vec<f32>> {
        let mut vector = self.accept(vector)?;
        if self.options.storage == Storage::F16 {
            for (position, number) in vector.iter_mut().enumerate() {
                let rounded = half::f16::from_f32(*number).to_f32();
                if !rounded.is_finite() {
                    return Err(Error::OutOfHalfRange { position });
                }
                *number = rounded;
            }
        }
        Ok(vector)
    }

    /// The score of two vectors as they come from [`Self::accept`].
    pub(crate) fn score(&self, left: &[f32], right: &[f32]) -> f32 {
        kernels::score_plain(self.options.metric, left, right)
    }
}
