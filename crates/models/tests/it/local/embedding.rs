//! Embeddings against values that were computed apart from this code, and the promises around them.

use plasma_kernel::Code;
use plasma_models::{
    local::{LocalModels, Priority, TEXTS_MAX},
    manifest::{Manifest, Precision},
};
use serde::Deserialize;

use super::{EMBEDDING, local_models, models_dir, settings};

/// `all_minilm_l6_v2.json`.
#[derive(Deserialize)]
struct Reference {
    embeddings: Vec<ReferenceEmbedding>,
    cosines: Vec<Vec<f32>>,
}

#[derive(Deserialize)]
struct ReferenceEmbedding {
    text: String,
    #[serde(default = "once")]
    text_repeated: usize,
    tokens: u64,
    first_components: Vec<f32>,
    sum_of_components: f32,
}

fn once() -> usize {
    1
}

async fn embed(models: &LocalModels, texts: &[String], priority: Priority) -> Vec<Vec<f32>> {
    models.embed(EMBEDDING, texts.to_vec(), priority).await.unwrap().vectors
}

fn cosine(left: &[f32], right: &[f32]) -> f32 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

#[tokio::test]
async fn vectors_equal_the_reference() {
    let models = local_models(&settings());
    let reference: Reference = serde_json::from_str(include_str!("all_minilm_l6_v2.json")).unwrap();
    let mut vectors = Vec::new();
    for expected in &reference.embeddings {
        let text = expected.text.repeat(expected.text_repeated);
        let actual = models.embed(EMBEDDING, vec![text], Priority::Urgent).await.unwrap();
        assert_eq!(actual.input_tokens, expected.tokens, "{}", expected.text);
        let vector = &actual.vectors[0];
        assert_eq!(vector.len(), 384);
        for (actual, expected) in vector.iter().zip(&expected.first_components) {
            assert!((actual - expected).abs() < 5e-6, "{actual} instead of {expected}");
        }
        assert!((vector.iter().sum::<f32>() - expected.sum_of_components).abs() < 1e-4);
        assert!((cosine(vector, vector) - 1.0).abs() < 1e-5);
        vectors.push(actual.vectors[0].clone());
    }
    for (left, cosines) in vectors.iter().zip(&reference.cosines) {
        for (right, expected) in vectors.iter().zip(cosines) {
            assert!((cosine(left, right) - expected).abs() < 5e-5);
        }
    }
}

#[tokio::test]
async fn a_batch_gives_the_same_bits_as_single_texts_in_the_order_of_the_texts() {
    let models = local_models(&settings());
    let words = ["tide", "orbit", "maple", "ledger", "violin", "harbor", "pepper", "glacier"];
    let text =
        |index: usize| (0..index * 13 % 200).map(|word| words[(word * index + word) % 8]).collect::<Vec<_>>().join(" ");
    let mut texts: Vec<String> = (0..40).map(text).collect();
    texts.push(String::new());
    texts.push("word ".repeat(5_000));
    let together = embed(&models, &texts, Priority::Ordinary).await;
    for (text, vector) in texts.iter().zip(&together) {
        let alone = embed(&models, std::slice::from_ref(text), Priority::Urgent).await;
        assert_eq!(&alone[0], vector);
    }
}

#[tokio::test]
async fn tokens_are_counted_without_special_ones_and_stand_at_their_places() {
    let models = local_models(&settings());
    let counter = models.token_counter(EMBEDDING).await.unwrap();
    let text = "Écrire: unbelievably 🙂 fine";
    let offsets = counter.offsets(text).unwrap();
    assert_eq!(counter.count(text).unwrap(), offsets.len());
    let pieces: Vec<&str> = offsets.iter().map(|range| &text[range.clone()]).collect();
    assert_eq!(pieces.concat(), text.replace(' ', ""));
    assert_eq!(pieces.first(), Some(&"Éc"));
    assert_eq!((counter.count("").unwrap(), counter.count("password").unwrap()), (0, 1));
    // Nothing is cut while counting.
    assert_eq!(counter.count(&"word ".repeat(3_000)).unwrap(), 3_000);
}

#[tokio::test]
async fn a_query_is_answered_while_passages_wait() {
    let models = local_models(&settings());
    embed(&models, &["warm".to_owned()], Priority::Urgent).await;
    let passages: Vec<String> = (0..600).map(|index| format!("passage {index} ").repeat(60)).collect();
    let mut ingestion = Box::pin(models.embed(EMBEDDING, passages, Priority::Ordinary));
    let queries = async {
        for _ in 0..5 {
            embed(&models, &["a query".to_owned()], Priority::Urgent).await;
        }
    };
    tokio::select! {
        _ = &mut ingestion => panic!("the passages were done before the queries"),
        () = queries => {}
    }
    // Dropping the ingestion abandons the rest: the next passage does not wait for it.
    drop(ingestion);
    embed(&models, &["a passage".to_owned()], Priority::Ordinary).await;
}

/// Sentences of this repository's documentation: headings, tables, prose, commands.
fn real_texts() -> Vec<String> {
    let pages = [
        include_str!("../../../../../docs/knowledge.md"),
        include_str!("../../../../../docs/models.md"),
        include_str!("../../../../../docs/access.md"),
    ];
    let paragraphs = pages.iter().flat_map(|page| page.split("\n\n"));
    let texts = paragraphs.map(str::trim).filter(|paragraph| paragraph.len() > 30).map(str::to_owned);
    let mut texts: Vec<String> = texts.take(150).collect();
    texts.extend(["tax", "How do I rotate a key?", "Wie spät ist es?", "🙂"].map(str::to_owned));
    texts
}

#[tokio::test]
async fn eight_bit_vectors_agree_with_those_of_floats_and_do_not_depend_on_their_batch() {
    let mut manifest = Manifest::builtin().unwrap();
    for entry in manifest.models.iter_mut().filter(|entry| entry.id == EMBEDDING) {
        entry.precision = Precision::Int8;
    }
    let rounded = LocalModels::new(&manifest, &models_dir(), &settings());
    let texts = real_texts();
    assert!(texts.len() > 60, "{} texts", texts.len());
    let exact = embed(&local_models(&settings()), &texts, Priority::Ordinary).await;
    let quick = embed(&rounded, &texts, Priority::Ordinary).await;
    let cosines: Vec<f32> = exact.iter().zip(&quick).map(|(left, right)| cosine(left, right)).collect();
    let (least, mean) =
        (cosines.iter().copied().fold(1.0, f32::min), cosines.iter().sum::<f32>() / cosines.len() as f32);
    assert!(least >= 0.99 && mean >= 0.997, "least {least}, mean {mean}");
    assert!(exact != quick && quick.iter().all(|vector| (cosine(vector, vector) - 1.0).abs() < 1e-5));
    for (text, vector) in texts.iter().zip(&quick).step_by(20) {
        let alone = embed(&rounded, std::slice::from_ref(text), Priority::Urgent).await;
        assert_eq!(&alone[0], vector);
    }
}

#[tokio::test]
async fn too_many_texts_are_refused() {
    let models = local_models(&settings());
    let texts = vec![String::new(); TEXTS_MAX + 1];
    let error = models.embed(EMBEDDING, texts, Priority::Ordinary).await.unwrap_err();
    assert_eq!(error.code(), Code::TooLarge);
    assert!(models.embed(EMBEDDING, Vec::new(), Priority::Ordinary).await.unwrap().vectors.is_empty());
}
