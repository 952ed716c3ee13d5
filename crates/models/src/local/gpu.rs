//! The same forward pass as in `bert.rs` by candle, for GPUs: sequences of about one length are padded to the longest, and many
//! go together.

use std::{path::Path, sync::OnceLock};

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config};
use plasma_kernel::{Error, Result};

/// Tokens of one forward pass: enough to fill a GPU, some hundred megabytes of its memory.
pub(super) const UNIT_TOKENS: usize = 16_384;

/// The first GPU; `None` when this program was not built for one, or there is none. `CUDA_VISIBLE_DEVICES` says which is the first.
pub(super) fn device() -> Option<&'static Device> {
    static DEVICE: OnceLock<Option<Device>> = OnceLock::new();
    let open = || {
        if !candle_core::utils::cuda_is_available() {
            return None;
        }
        match Device::new_cuda(0) {
            Ok(device) => Some(device),
            Err(error) => {
                tracing::warn!(%error, "there is no GPU that can be used; embedding models run on the processor");
                None
            }
        }
    };
    DEVICE.get_or_init(open).as_ref()
}

fn failed(error: candle_core::Error) -> Error {
    Error::from_source("the embedding model failed on the GPU", error)
}

/// A loaded model.
pub(super) struct GpuBert {
    model: BertModel,
    device: Device,
    dimensions: usize,
    positions_max: usize,
}

impl GpuBert {
    /// Reads `config.json` and `model.safetensors` of a folder.
    pub fn load(directory: &Path, device: &Device) -> Result<Self> {
        let config_text = std::fs::read(directory.join("config.json"))
            .map_err(|source| Error::from_source("config.json of the embedding model cannot be read", source))?;
        let config: Config = serde_json::from_slice(&config_text)
            .map_err(|source| Error::from_source("config.json does not describe a supported BERT model", source))?;
        let weights = std::fs::read(directory.join("model.safetensors"))
            .map_err(|source| Error::from_source("model.safetensors cannot be read", source))?;
        let variables = VarBuilder::from_buffered_safetensors(weights, DType::F32, device).map_err(failed)?;
        let model = BertModel::load(variables, &config).map_err(failed)?;
        Ok(Self {
            model,
            device: device.clone(),
            dimensions: config.hidden_size,
            positions_max: config.max_position_embeddings,
        })
    }

    /// Length of the vectors.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// One vector of length 1 for each sequence of token ids: the mean over its tokens, normalized.
    pub fn embed(&self, sequences: &[Vec<u32>]) -> Result<Vec<Vec<f32>>> {
        let lengths = || sequences.iter().map(Vec::len);
        if let Some(length) = lengths().find(|length| *length == 0 || *length > self.positions_max) {
            return Err(Error::internal(format!("a sequence of {length} tokens reached the model")));
        }
        match lengths().max() {
            Some(width) => self.forward(sequences, width).map_err(failed),
            None => Ok(Vec::new()),
        }
    }

    fn forward(&self, sequences: &[Vec<u32>], width: usize) -> candle_core::Result<Vec<Vec<f32>>> {
        let shape = (sequences.len(), width);
        let (mut ids, mut mask) = (vec![0_u32; sequences.len() * width], vec![0_u32; sequences.len() * width]);
        let rows = ids.chunks_exact_mut(width).zip(mask.chunks_exact_mut(width));
        for (sequence, (ids, mask)) in sequences.iter().zip(rows) {
            for ((id, mask), token) in ids.iter_mut().zip(mask).zip(sequence) {
                (*id, *mask) = (*token, 1);
            }
        }
        let ids = Tensor::from_vec(ids, shape, &self.device)?;
        let mask = Tensor::from_vec(mask, shape, &self.device)?;
        let states = self.model.forward(&ids, &ids.zeros_like()?, Some(&mask))?;
        let weights = mask.to_dtype(DType::F32)?.unsqueeze(2)?;
        let sums = states.broadcast_mul(&weights)?.sum(1)?;
        sums.broadcast_div(&sums.sqr()?.sum_keepdim(1)?.sqrt()?)?.to_vec2()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{super::bert::Bert, *};
    use crate::manifest::{Manifest, Precision, default_models_dir};

    /// On the processor, so that it runs everywhere: `cargo test -p plasma-models --features candle`.
    #[test]
    fn candle_gives_the_vectors_of_our_own_encoder() {
        let models_dir = std::env::var_os("PLASMA_MODELS_DIR").map(Into::into).or_else(default_models_dir).unwrap();
        let manifest = Manifest::builtin().unwrap();
        let folder = manifest.model("local/all-minilm-l6-v2").unwrap().directory(&models_dir);
        let ours = Bert::load(&folder, Precision::F32).unwrap();
        let theirs = GpuBert::load(&folder, &Device::Cpu).unwrap();
        let sequences: Vec<Vec<u32>> = [3_usize, 40, 17, 120]
            .iter()
            .map(|length| (0..*length).map(|at| 1_000 + (at * 37 % 20_000) as u32).collect())
            .collect();
        let (left, right) = (ours.embed(&sequences).unwrap(), theirs.embed(&sequences).unwrap());
        assert_eq!((left.len(), ours.dimensions()), (right.len(), theirs.dimensions()));
        for (left, right) in left.iter().zip(&right) {
            let cosine: f32 = left.iter().zip(right).map(|(left, right)| left * right).sum();
            assert!((cosine - 1.0).abs() < 1e-4, "{cosine}");
        }
        assert!(theirs.embed(&[]).unwrap().is_empty());
        assert!(theirs.embed(&[vec![1; 513]]).is_err());
    }
}
