//! Vectors of passages, of which those are not made again that the tenant has already.

use std::collections::HashMap;

use plasma_kernel::{Ctx, Error, Result};
use sha2::{Digest as _, Sha256};

use crate::{Knowledge, embedding, store::vectors};

/// What a model made of a text.
pub(crate) struct EmbeddedInput {
    /// Of length 1, unless it is all zeros.
    pub(crate) vector: Vec<f32>,
    /// SHA-256 of the model and the text, in hexadecimal: by it the vector is found again.
    pub(crate) hash: String,
    /// The model was asked for it.
    pub(crate) is_new: bool,
}

/// By what the vector of a text is known. `identity` has a fixed length, so that no two pairs are written alike.
fn hash_of(identity: &[u8; 32], input: &str) -> String {
    let hash = Sha256::new().chain_update(identity).chain_update(input).finalize();
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The vectors of texts, in their order. A text that occurs in a passage of the tenant that the same model has embedded, or twice
/// among these, is not embedded again.
///
/// # Errors
/// As [`embedding::embed_passages`].
pub(crate) async fn embed(
    knowledge: &Knowledge,
    ctx: &Ctx,
    model: &str,
    inputs: Vec<String>,
) -> Result<Vec<EmbeddedInput>> {
    let identity = knowledge.models().embedding_identity(ctx, model).await?;
    let hashes: Vec<String> = inputs.iter().map(|input| hash_of(&identity, input)).collect();
    // By hash, with whether the model was asked.
    let mut by_hash: HashMap<&str, (Vec<f32>, bool)> = HashMap::with_capacity(hashes.len());
    let mut tx = knowledge.store().read(ctx).await?;
    for hash in &hashes {
        if !by_hash.contains_key(hash.as_str())
            && let Some(vector) = vectors::known(&mut tx, hash).await?
        {
            by_hash.insert(hash, (vector, false));
        }
    }
    drop(tx);
    let (mut missing, mut texts): (Vec<&str>, Vec<String>) = (Vec::new(), Vec::new());
    for (hash, input) in hashes.iter().zip(inputs) {
        if !by_hash.contains_key(hash.as_str()) && !missing.contains(&hash.as_str()) {
            missing.push(hash);
            texts.push(input);
        }
    }
    if !texts.is_empty() {
        let made = embedding::embed_passages(knowledge.models(), ctx, model, texts).await?;
        by_hash.extend(missing.into_iter().zip(made.into_iter().map(|vector| (vector, true))));
    }
    hashes
        .iter()
        .map(|hash| {
            let (vector, is_new) = by_hash
                .get(hash.as_str())
                .cloned()
                .ok_or_else(|| Error::internal("a text has no vector although all were made"))?;
            Ok(EmbeddedInput { vector, hash: hash.clone(), is_new })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_and_texts_are_told_apart() {
        let hash = hash_of(&[1; 32], "a text");
        assert_eq!(hash.len(), 64);
        assert_eq!(hash, hash_of(&[1; 32], "a text"));
        assert!(hash != hash_of(&[2; 32], "a text") && hash != hash_of(&[1; 32], "a text "));
    }
}
