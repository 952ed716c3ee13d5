//! Embeds the same texts as Plasma with candle's BERT in 32-bit floats: `embed-with-candle MODEL TEXTS SECONDS VECTORS`.
//!
//! MODEL is the folder of all-MiniLM-L6-v2, TEXTS a JSON object of lists of texts, VECTORS a file to write (or `-`). Prints one
//! JSON object. RAYON_NUM_THREADS says how many threads candle has.

use std::{error::Error, time::Instant};

use candle_core::{Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config, DTYPE};
use serde_json::{Map, Value, json};
use tokenizers::{Tokenizer, TruncationParams};

/// Texts of one forward pass; those of similar length go together.
const BATCH: usize = 32;
const TOKENS_MAX: usize = 256;
const QUERIES: usize = 100;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

struct Embedder {
    model: BertModel,
    tokenizer: Tokenizer,
}

impl Embedder {
    fn open(folder: &str) -> Outcome<Self> {
        let config: Config = serde_json::from_slice(&std::fs::read(format!("{folder}/config.json"))?)?;
        let weights = std::fs::read(format!("{folder}/model.safetensors"))?;
        let variables = VarBuilder::from_buffered_safetensors(weights, DTYPE, &Device::Cpu)?;
        let mut tokenizer = Tokenizer::from_file(format!("{folder}/tokenizer.json"))?;
        tokenizer.with_padding(None);
        tokenizer.with_truncation(Some(TruncationParams { max_length: TOKENS_MAX, ..TruncationParams::default() }))?;
        Ok(Self { model: BertModel::load(variables, &config)?, tokenizer })
    }

    /// One vector of length 1 for each text, in their order, and the number of tokens.
    fn embed(&self, texts: &[&str]) -> Outcome<(Vec<Vec<f32>>, usize)> {
        let mut sequences = Vec::with_capacity(texts.len());
        for (place, text) in texts.iter().enumerate() {
            sequences.push((place, self.tokenizer.encode(*text, true)?.get_ids().to_vec()));
        }
        let tokens = sequences.iter().map(|(_, ids)| ids.len()).sum();
        sequences.sort_by_key(|(_, ids)| ids.len());
        let mut vectors = vec![Vec::new(); texts.len()];
        for batch in sequences.chunks(BATCH) {
            let width = batch.iter().map(|(_, ids)| ids.len()).max().unwrap_or(0);
            let padded = |ids: &[u32]| ids.iter().copied().chain(std::iter::repeat(0)).take(width).collect::<Vec<_>>();
            let ids: Vec<u32> = batch.iter().flat_map(|(_, ids)| padded(ids)).collect();
            let mask: Vec<u32> = batch.iter().flat_map(|(_, ids)| padded(&vec![1; ids.len()])).collect();
            let shape = (batch.len(), width);
            let ids = Tensor::from_vec(ids, shape, &Device::Cpu)?;
            let mask = Tensor::from_vec(mask, shape, &Device::Cpu)?;
            let states = self.model.forward(&ids, &ids.zeros_like()?, Some(&mask))?;
            let weights = mask.to_dtype(DTYPE)?.unsqueeze(2)?;
            let sums = states.broadcast_mul(&weights)?.sum(1)?;
            let sums = sums.broadcast_div(&sums.sqr()?.sum_keepdim(1)?.sqrt()?)?;
            for ((place, _), vector) in batch.iter().zip(sums.to_vec2::<f32>()?) {
                vectors[*place] = vector;
            }
        }
        Ok((vectors, tokens))
    }
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, texts, seconds, vectors] = arguments.as_slice() else {
        return Err("usage: embed-with-candle MODEL TEXTS SECONDS VECTORS".into());
    };
    let seconds: f64 = seconds.parse()?;
    let classes: Map<String, Value> = serde_json::from_slice(&std::fs::read(texts)?)?;
    let embedder = Embedder::open(model)?;
    let (mut rows, mut latency, mut bytes) = (Vec::new(), Value::Null, Vec::new());
    for (number, (name, texts)) in classes.iter().enumerate() {
        let texts: Vec<&str> = texts.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let (found, tokens) = embedder.embed(&texts)?;
        bytes.extend(found.iter().flatten().flat_map(|number| number.to_le_bytes()));
        let (begun, mut best) = (Instant::now(), f64::INFINITY);
        while begun.elapsed().as_secs_f64() < seconds {
            let pass = Instant::now();
            embedder.embed(&texts)?;
            best = best.min(pass.elapsed().as_secs_f64());
        }
        rows.push(json!({
            "class": name, "texts": texts.len(), "tokens_mean": tokens as f64 / texts.len() as f64,
            "texts_per_second": texts.len() as f64 / best,
        }));
        if number == 0 {
            let mut times = Vec::with_capacity(QUERIES);
            for text in texts.iter().cycle().take(QUERIES) {
                let start = Instant::now();
                embedder.embed(&[*text])?;
                times.push(start.elapsed().as_secs_f64() * 1e3);
            }
            times.sort_by(f64::total_cmp);
            latency = json!({ "class": name, "median_ms": times[QUERIES / 2], "p95_ms": times[QUERIES * 95 / 100] });
        }
    }
    if vectors != "-" {
        std::fs::write(vectors, bytes)?;
    }
    println!("{}", json!({ "throughput": rows, "latency": latency }));
    Ok(())
}
