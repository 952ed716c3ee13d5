//! The forward pass of BERT-family encoders: token ids in, one mean-pooled vector for each sequence out.
//!
//! Sequences of a batch are laid end to end instead of being padded to one length: the dense layers do not care where a
//! sequence ends, and attention runs within each sequence, so no work is spent on padding and no mask is needed.

use std::{ops::Range, path::Path};

use plasma_embed_kernels::{Activations, Weights};
use plasma_kernel::{Error, Result};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::Deserialize;

use super::kernels::{
    Panels, Rows, add_bias, add_bias_gelu, add_bias_residual, layer_norm, multiply, normalize, pack, scaled_softmax,
};
use crate::manifest::Precision;

/// What `config.json` says. Only what the forward pass needs.
#[derive(Deserialize)]
struct Config {
    vocab_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    hidden_act: Activation,
    max_position_embeddings: usize,
    type_vocab_size: usize,
    layer_norm_eps: f32,
    #[serde(default)]
    position_embedding_type: PositionEmbedding,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Activation {
    Gelu,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "snake_case")]
enum PositionEmbedding {
    #[default]
    Absolute,
}

/// Where parameters stand in [`Bert::parameters`].
type Span = Range<usize>;

/// A dense layer's weights.
enum Weight {
    /// Panels in [`Bert::parameters`].
    Floats(Span),
    Integers(Weights),
}

struct Dense {
    weight: Weight,
    bias: Span,
    input: usize,
    output: usize,
}

struct Norm {
    weight: Span,
    bias: Span,
}

struct Layer {
    /// Query, key and value side by side.
    query_key_value: Dense,
    attention_output: Dense,
    attention_norm: Norm,
    intermediate: Dense,
    output: Dense,
    output_norm: Norm,
}

/// A loaded model. Shared by the threads that run it; each forward pass runs on its caller's thread alone.
pub(super) struct Bert {
    hidden: usize,
    heads: usize,
    positions_max: usize,
    epsilon: f32,
    /// All of them in one allocation, so that unloading gives the memory back to the system: what is freed in small pieces
    /// often stays with the process.
    parameters: Vec<f32>,
    words: Span,
    /// Position embedding plus the embedding of token type 0.
    positions: Span,
    embedding_norm: Norm,
    layers: Vec<Layer>,
}

impl Bert {
    /// Reads `config.json` and `model.safetensors` of a folder. With [`Precision::Int8`] the weights of the dense layers are
    /// rounded; embeddings, normalizations and attention stay in 32-bit floats.
    pub fn load(directory: &Path, precision: Precision) -> Result<Self> {
        let config_text = std::fs::read(directory.join("config.json"))
            .map_err(|source| Error::from_source("config.json of the embedding model cannot be read", source))?;
        let config: Config = serde_json::from_slice(&config_text)
            .map_err(|source| Error::from_source("config.json does not describe a supported BERT model", source))?;
        let (hidden, heads) = (config.hidden_size, config.num_attention_heads);
        if hidden == 0 || config.intermediate_size == 0 || heads == 0 || !hidden.is_multiple_of(heads) {
            return Err(Error::internal("config.json: hidden_size is not a multiple of num_attention_heads"));
        }
        let file = std::fs::read(directory.join("model.safetensors"))
            .map_err(|source| Error::from_source("model.safetensors cannot be read", source))?;
        let tensors = SafeTensors::deserialize(&file)
            .map_err(|source| Error::from_source("model.safetensors is damaged", source))?;
        let prefix = if tensors.tensor(WORDS).is_ok() { "" } else { "bert." };
        let count: usize = tensors.iter().map(|(_, tensor)| elements(&tensor)).sum();
        Loader { prefix, tensors, precision, parameters: Vec::with_capacity(count) }.assemble(&config)
    }

    /// Length of the vectors.
    pub fn dimensions(&self) -> usize {
        self.hidden
    }

    /// One vector of length 1 for each sequence of token ids: the mean over its tokens, normalized.
    pub fn embed(&self, sequences: &[Vec<u32>]) -> Result<Vec<Vec<f32>>> {
        let lengths: Vec<usize> = sequences.iter().map(Vec::len).collect();
        let tokens: usize = lengths.iter().sum();
        let mut state = self.look_up(sequences)?;
        self.normalize(&self.embedding_norm, &mut state);

        let mut attention = Attention::new(self.hidden / self.heads);
        let mut query_key_value = vec![0.0; tokens * 3 * self.hidden];
        let mut context = vec![0.0; tokens * self.hidden];
        let mut attended = vec![0.0; tokens * self.hidden];
        let mut wide = Vec::new();
        let mut rounded = Activations::default();
        for layer in &self.layers {
            self.multiply(&layer.query_key_value, &state, &mut rounded, &mut query_key_value);
            add_bias(&mut query_key_value, self.at(&layer.query_key_value.bias));
            attention.apply(&query_key_value, &lengths, self.heads, &mut context);

            self.multiply(&layer.attention_output, &context, &mut rounded, &mut attended);
            add_bias_residual(&mut attended, self.at(&layer.attention_output.bias), &state);
            self.normalize(&layer.attention_norm, &mut attended);

            wide.resize(tokens * layer.intermediate.output, 0.0);
            self.multiply(&layer.intermediate, &attended, &mut rounded, &mut wide);
            add_bias_gelu(&mut wide, self.at(&layer.intermediate.bias));
            self.multiply(&layer.output, &wide, &mut rounded, &mut state);
            add_bias_residual(&mut state, self.at(&layer.output.bias), &attended);
            self.normalize(&layer.output_norm, &mut state);
        }
        Ok(self.pool(&state, &lengths))
    }

    fn at(&self, span: &Span) -> &[f32] {
        self.parameters.get(span.clone()).unwrap_or_default()
    }

    /// `rounded` is scratch space.
    fn multiply(&self, dense: &Dense, input: &[f32], rounded: &mut Activations, output: &mut [f32]) {
        match &dense.weight {
            Weight::Floats(span) => {
                let rows = Rows { data: input, stride: dense.input, count: input.len() / dense.input };
                let weight = Panels { depth: dense.input, columns: dense.output, data: self.at(span) };
                multiply(rows, weight, output, dense.output);
            }
            Weight::Integers(weights) => {
                rounded.quantize(input, dense.input);
                plasma_embed_kernels::multiply(rounded, weights, output);
            }
        }
    }

    fn normalize(&self, norm: &Norm, values: &mut [f32]) {
        layer_norm(values, self.at(&norm.weight), self.at(&norm.bias), self.epsilon);
    }

    fn look_up(&self, sequences: &[Vec<u32>]) -> Result<Vec<f32>> {
        let tokens: usize = sequences.iter().map(Vec::len).sum();
        let mut state = Vec::with_capacity(tokens * self.hidden);
        let (words, positions) = (self.at(&self.words), self.at(&self.positions));
        for sequence in sequences {
            if sequence.is_empty() || sequence.len() > self.positions_max {
                return Err(Error::internal(format!("a sequence of {} tokens reached the model", sequence.len())));
            }
            for (id, position) in sequence.iter().zip(positions.chunks_exact(self.hidden)) {
                let start = *id as usize * self.hidden;
                let word = words
                    .get(start..start + self.hidden)
                    .ok_or_else(|| Error::internal(format!("token {id} is not in the model's vocabulary")))?;
                state.extend(word.iter().zip(position).map(|(word, position)| word + position));
            }
        }
        Ok(state)
    }

    fn pool(&self, state: &[f32], lengths: &[usize]) -> Vec<Vec<f32>> {
        let mut rows = state.chunks_exact(self.hidden);
        lengths
            .iter()
            .map(|length| {
                let mut mean = vec![0.0; self.hidden];
                for row in rows.by_ref().take(*length) {
                    for (sum, value) in mean.iter_mut().zip(row) {
                        *sum += value;
                    }
                }
                // Normalizing makes the division by the length superfluous.
                normalize(&mut mean);
                mean
            })
            .collect()
    }
}

/// Scratch space of self-attention, reused for all heads, sequences and layers of a forward pass.
struct Attention {
    head_size: usize,
    keys: Vec<f32>,
    values: Vec<f32>,
    scores: Vec<f32>,
}

impl Attention {
    fn new(head_size: usize) -> Self {
        Self { head_size, keys: Vec::new(), values: Vec::new(), scores: Vec::new() }
    }

    #[expect(clippy::indexing_slicing, reason = "offsets follow from the lengths that the buffers were made for")]
    fn apply(&mut self, query_key_value: &[f32], lengths: &[usize], heads: usize, context: &mut [f32]) {
        let size = self.head_size;
        let hidden = heads * size;
        let stride = 3 * hidden;
        let scale = 1.0 / (size as f32).sqrt();
        let mut start = 0;
        for &length in lengths {
            self.scores.resize(length * length, 0.0);
            for head in 0..heads {
                let query = start * stride + head * size;
                self.keys.clear();
                pack(&query_key_value[query + hidden..], (size, length), (1, stride), &mut self.keys);
                let keys = Panels { depth: size, columns: length, data: &self.keys };
                let queries = Rows { data: &query_key_value[query..], stride, count: length };
                multiply(queries, keys, &mut self.scores, length);
                scaled_softmax(&mut self.scores, length, scale);

                self.values.clear();
                pack(&query_key_value[query + 2 * hidden..], (length, size), (stride, 1), &mut self.values);
                let values = Panels { depth: length, columns: size, data: &self.values };
                let weights = Rows { data: &self.scores, stride: length, count: length };
                multiply(weights, values, &mut context[start * hidden + head * size..], hidden);
            }
            start += length;
        }
    }
}

const WORDS: &str = "embeddings.word_embeddings.weight";

/// Moves the tensors of a file to their places in one allocation.
struct Loader<'file> {
    prefix: &'static str,
    tensors: SafeTensors<'file>,
    precision: Precision,
    parameters: Vec<f32>,
}

fn elements(tensor: &TensorView<'_>) -> usize {
    tensor.shape().iter().product()
}

impl Loader<'_> {
    fn assemble(mut self, config: &Config) -> Result<Bert> {
        // `gelu` and absolute positions are the only variants that deserialize.
        let (Activation::Gelu, PositionEmbedding::Absolute) = (&config.hidden_act, &config.position_embedding_type);
        let hidden = config.hidden_size;
        let words = self.copy(WORDS, config.vocab_size * hidden)?;
        let positions = self.positions(config)?;
        let embedding_norm = self.norm("embeddings.LayerNorm", hidden)?;
        let mut layers = Vec::with_capacity(config.num_hidden_layers);
        for index in 0..config.num_hidden_layers {
            let name = |part: &str| format!("encoder.layer.{index}.{part}");
            let attention = ["query", "key", "value"].map(|part| name(&format!("attention.self.{part}")));
            layers.push(Layer {
                query_key_value: self.dense(&attention, hidden, hidden)?,
                attention_output: self.dense(&[name("attention.output.dense")], hidden, hidden)?,
                attention_norm: self.norm(&name("attention.output.LayerNorm"), hidden)?,
                intermediate: self.dense(&[name("intermediate.dense")], hidden, config.intermediate_size)?,
                output: self.dense(&[name("output.dense")], config.intermediate_size, hidden)?,
                output_norm: self.norm(&name("output.LayerNorm"), hidden)?,
            });
        }
        // Room was made for all of the file's numbers, and rounded weights stand elsewhere.
        self.parameters.shrink_to_fit();
        Ok(Bert {
            hidden,
            heads: config.num_attention_heads,
            positions_max: config.max_position_embeddings,
            epsilon: config.layer_norm_eps,
            parameters: self.parameters,
            words,
            positions,
            embedding_norm,
            layers,
        })
    }

    /// A tensor as 32-bit floats.
    fn take(&self, name: &str, count: usize) -> Result<Vec<f32>> {
        let name = format!("{}{name}", self.prefix);
        let tensor = self
            .tensors
            .tensor(&name)
            .map_err(|source| Error::from_source(format!("model.safetensors has no tensor {name}"), source))?;
        if elements(&tensor) != count {
            let message = format!("tensor {name} has {} elements, config.json asks for {count}", elements(&tensor));
            return Err(Error::internal(message));
        }
        let halves = tensor.data().as_chunks::<2>().0.iter().copied();
        match tensor.dtype() {
            Dtype::F32 => Ok(tensor.data().as_chunks::<4>().0.iter().copied().map(f32::from_le_bytes).collect()),
            Dtype::F16 => Ok(halves.map(|bytes| half::f16::from_le_bytes(bytes).to_f32()).collect()),
            Dtype::BF16 => Ok(halves.map(|bytes| half::bf16::from_le_bytes(bytes).to_f32()).collect()),
            other => Err(Error::internal(format!("tensor {name} has numbers of the kind {other:?}"))),
        }
    }

    fn append(&mut self, values: &[f32]) -> Span {
        let start = self.parameters.len();
        self.parameters.extend_from_slice(values);
        start..self.parameters.len()
    }

    fn copy(&mut self, name: &str, count: usize) -> Result<Span> {
        let values = self.take(name, count)?;
        Ok(self.append(&values))
    }

    fn positions(&mut self, config: &Config) -> Result<Span> {
        let hidden = config.hidden_size;
        let types = self.take("embeddings.token_type_embeddings.weight", config.type_vocab_size * hidden)?;
        let mut positions =
            self.take("embeddings.position_embeddings.weight", config.max_position_embeddings * hidden)?;
        for row in positions.chunks_exact_mut(hidden) {
            for (value, token_type) in row.iter_mut().zip(&types) {
                *value += token_type;
            }
        }
        Ok(self.append(&positions))
    }

    /// Dense layers of the same input side by side. Files store a weight as output rows of `input` elements.
    fn dense(&mut self, names: &[String], input: usize, output: usize) -> Result<Dense> {
        let (mut rows, mut bias) = (Vec::new(), Vec::new());
        for name in names {
            rows.extend(self.take(&format!("{name}.weight"), input * output)?);
            bias.extend(self.take(&format!("{name}.bias"), output)?);
        }
        let output = output * names.len();
        let weight = match self.precision {
            Precision::F32 => {
                let start = self.parameters.len();
                pack(&rows, (input, output), (1, input), &mut self.parameters);
                Weight::Floats(start..self.parameters.len())
            }
            Precision::Int8 => {
                let too_large =
                    || Error::internal(format!("a layer of {input} inputs is too large for 8-bit integers"));
                Weight::Integers(Weights::quantize(&rows, input, output).ok_or_else(too_large)?)
            }
        };
        Ok(Dense { weight, bias: self.append(&bias), input, output })
    }

    fn norm(&mut self, name: &str, width: usize) -> Result<Norm> {
        let weight = self.copy(&format!("{name}.weight"), width)?;
        Ok(Norm { weight, bias: self.copy(&format!("{name}.bias"), width)? })
    }
}
