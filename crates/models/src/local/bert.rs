//! The forward pass of BERT-family encoders: token ids in, one mean-pooled vector for each sequence out.
//!
//! Sequences of a batch are laid end to end instead of being padded to one length: the dense layers do not care where a
//! sequence ends, and attention runs within each sequence, so no work is spent on padding and no mask is needed.

use std::{collections::HashMap, path::Path};

use candle_core::{DType, Device, Tensor};
use plasma_kernel::{Error, Result};
use serde::Deserialize;

use super::kernels::{Panels, Rows, add_bias, add_bias_gelu, add_bias_residual, layer_norm, multiply, normalize, scaled_softmax};

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

struct Dense {
    weight: Panels,
    bias: Vec<f32>,
}

struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    epsilon: f32,
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
    words: Vec<f32>,
    /// Position embedding plus the embedding of token type 0.
    positions: Vec<f32>,
    embedding_norm: Norm,
    layers: Vec<Layer>,
}

impl Bert {
    /// Reads `config.json` and `model.safetensors` of a folder.
    pub fn load(directory: &Path) -> Result<Self> {
        let config_text = std::fs::read(directory.join("config.json"))
            .map_err(|source| Error::from_source("config.json of the embedding model cannot be read", source))?;
        let config: Config = serde_json::from_slice(&config_text)
            .map_err(|source| Error::from_source("config.json does not describe a supported BERT model", source))?;
        let (hidden, heads) = (config.hidden_size, config.num_attention_heads);
        if hidden == 0 || config.intermediate_size == 0 || heads == 0 || !hidden.is_multiple_of(heads) {
            return Err(Error::internal("config.json: hidden_size is not a multiple of num_attention_heads"));
        }
        let tensors = candle_core::safetensors::load(directory.join("model.safetensors"), &Device::Cpu)
            .map_err(|source| Error::from_source("model.safetensors cannot be read", source))?;
        let mut tensors = Tensors { prefix: if tensors.contains_key(WORDS) { "" } else { "bert." }, tensors };
        Self::assemble(&config, &mut tensors)
    }

    fn assemble(config: &Config, tensors: &mut Tensors) -> Result<Self> {
        let hidden = config.hidden_size;
        let epsilon = config.layer_norm_eps;
        let types = tensors.take("embeddings.token_type_embeddings.weight", None)?;
        let mut positions =
            tensors.take("embeddings.position_embeddings.weight", Some(config.max_position_embeddings * hidden))?;
        for row in positions.chunks_exact_mut(hidden) {
            for (value, token_type) in row.iter_mut().zip(&types) {
                *value += token_type;
            }
        }
        let mut layers = Vec::with_capacity(config.num_hidden_layers);
        for index in 0..config.num_hidden_layers {
            let name = |part: &str| format!("encoder.layer.{index}.{part}");
            let attention = ["query", "key", "value"].map(|part| name(&format!("attention.self.{part}")));
            layers.push(Layer {
                query_key_value: tensors.dense(&attention, hidden, hidden)?,
                attention_output: tensors.dense(&[name("attention.output.dense")], hidden, hidden)?,
                attention_norm: tensors.norm(&name("attention.output.LayerNorm"), hidden, epsilon)?,
                intermediate: tensors.dense(&[name("intermediate.dense")], hidden, config.intermediate_size)?,
                output: tensors.dense(&[name("output.dense")], config.intermediate_size, hidden)?,
                output_norm: tensors.norm(&name("output.LayerNorm"), hidden, epsilon)?,
            });
        }
        // `gelu` and absolute positions are the only variants that deserialize.
        let (Activation::Gelu, PositionEmbedding::Absolute) = (&config.hidden_act, &config.position_embedding_type);
        Ok(Self {
            hidden,
            heads: config.num_attention_heads,
            positions_max: config.max_position_embeddings,
            words: tensors.take(WORDS, Some(config.vocab_size * hidden))?,
            positions,
            embedding_norm: tensors.norm("embeddings.LayerNorm", hidden, epsilon)?,
            layers,
        })
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
        layer_norm(&mut state, &self.embedding_norm.weight, &self.embedding_norm.bias, self.embedding_norm.epsilon);

        let mut attention = Attention::new(self.hidden / self.heads);
        let mut query_key_value = vec![0.0; tokens * 3 * self.hidden];
        let mut context = vec![0.0; tokens * self.hidden];
        let mut attended = vec![0.0; tokens * self.hidden];
        let mut wide = Vec::new();
        for layer in &self.layers {
            layer.query_key_value.apply(&state, &mut query_key_value);
            add_bias(&mut query_key_value, &layer.query_key_value.bias);
            attention.apply(&query_key_value, &lengths, self.heads, &mut context);

            layer.attention_output.apply(&context, &mut attended);
            add_bias_residual(&mut attended, &layer.attention_output.bias, &state);
            layer.attention_norm.apply(&mut attended);

            wide.resize(tokens * layer.intermediate.weight.columns(), 0.0);
            layer.intermediate.apply(&attended, &mut wide);
            add_bias_gelu(&mut wide, &layer.intermediate.bias);
            layer.output.apply(&wide, &mut state);
            add_bias_residual(&mut state, &layer.output.bias, &attended);
            layer.output_norm.apply(&mut state);
        }
        Ok(self.pool(&state, &lengths))
    }

    fn look_up(&self, sequences: &[Vec<u32>]) -> Result<Vec<f32>> {
        let tokens: usize = sequences.iter().map(Vec::len).sum();
        let mut state = Vec::with_capacity(tokens * self.hidden);
        for sequence in sequences {
            if sequence.is_empty() || sequence.len() > self.positions_max {
                return Err(Error::internal(format!("a sequence of {} tokens reached the model", sequence.len())));
            }
            for (id, position) in sequence.iter().zip(self.positions.chunks_exact(self.hidden)) {
                let start = *id as usize * self.hidden;
                let word = self
                    .words
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

impl Dense {
    fn apply(&self, input: &[f32], output: &mut [f32]) {
        let columns = self.weight.columns();
        let count = output.len() / columns;
        multiply(Rows { data: input, stride: input.len() / count, count }, &self.weight, output, columns);
    }
}

impl Norm {
    fn apply(&self, values: &mut [f32]) {
        layer_norm(values, &self.weight, &self.bias, self.epsilon);
    }
}

/// Scratch space of self-attention, reused for all heads, sequences and layers of a forward pass.
struct Attention {
    head_size: usize,
    keys: Panels,
    values: Panels,
    scores: Vec<f32>,
}

impl Attention {
    fn new(head_size: usize) -> Self {
        Self { head_size, keys: Panels::default(), values: Panels::default(), scores: Vec::new() }
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
                self.keys.pack(&query_key_value[query + hidden..], (size, length), (1, stride));
                self.values.pack(&query_key_value[query + 2 * hidden..], (length, size), (stride, 1));
                let queries = Rows { data: &query_key_value[query..], stride, count: length };
                multiply(queries, &self.keys, &mut self.scores, length);
                scaled_softmax(&mut self.scores, length, scale);
                let weights = Rows { data: &self.scores, stride: length, count: length };
                multiply(weights, &self.values, &mut context[start * hidden + head * size..], hidden);
            }
            start += length;
        }
    }
}

const WORDS: &str = "embeddings.word_embeddings.weight";

/// The tensors of a file. They are taken out one by one, so that no more than one exists twice.
struct Tensors {
    prefix: &'static str,
    tensors: HashMap<String, Tensor>,
}

impl Tensors {
    fn take(&mut self, name: &str, count: Option<usize>) -> Result<Vec<f32>> {
        let name = format!("{}{name}", self.prefix);
        let tensor = self
            .tensors
            .remove(&name)
            .ok_or_else(|| Error::internal(format!("model.safetensors has no tensor {name}")))?;
        let values = tensor
            .to_dtype(DType::F32)
            .and_then(|tensor| tensor.flatten_all())
            .and_then(|tensor| tensor.to_vec1::<f32>())
            .map_err(|source| Error::from_source(format!("tensor {name} cannot be read"), source))?;
        match count {
            Some(count) if count != values.len() => {
                Err(Error::internal(format!("tensor {name} has {} elements, config.json asks for {count}", values.len())))
            }
            _ => Ok(values),
        }
    }

    /// Dense layers of the same input side by side. Files store a weight as output rows of `input` elements.
    fn dense(&mut self, names: &[String], input: usize, output: usize) -> Result<Dense> {
        let (mut rows, mut bias) = (Vec::new(), Vec::new());
        for name in names {
            rows.extend(self.take(&format!("{name}.weight"), Some(input * output))?);
            bias.extend(self.take(&format!("{name}.bias"), Some(output))?);
        }
        let mut weight = Panels::default();
        weight.pack(&rows, (input, output * names.len()), (1, input));
        Ok(Dense { weight, bias })
    }

    fn norm(&mut self, name: &str, width: usize, epsilon: f32) -> Result<Norm> {
        Ok(Norm {
            weight: self.take(&format!("{name}.weight"), Some(width))?,
            bias: self.take(&format!("{name}.bias"), Some(width))?,
            epsilon,
        })
    }
}
