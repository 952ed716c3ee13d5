use proptest::prelude::*;

use super::*;
use crate::search::fusion::{Found, Part};

fn part(rank: u32, score: f32) -> Part {
    Part { found: Found { rank, score }, normalized: f64::from(score), weight: 1.0, contribution: f64::from(score) }
}

/// A candidate of both halves, of a document.
fn item(document: usize, passage: u32, score: f32) -> Item {
    let fused = Fused {
        place: (document, passage),
        vector: Some(part(1, score)),
        text: Some(part(1, 10.0 * score)),
        score: f64::from(score),
    };
    Item::new(fused, Signals::default())
}

fn places(items: &[Item]) -> Vec<Place> {
    items.iter().map(Item::place).collect()
}

fn wanted(count: usize) -> Wanted {
    Wanted { count, per_document: None, deduplicate: true }
}

/// A direction in the plane, by its angle in degrees.
fn direction(degrees: f32) -> Vec<f32> {
    vec![degrees.to_radians().cos(), degrees.to_radians().sin()]
}

#[test]
fn cosines_are_exact_enough_in_every_length() {
    for length in [1, 15, 16, 17, 384] {
        let vector = vec![1.0 / (length as f32).sqrt(); length];
        assert!((cosine(&vector, &vector) - 1.0).abs() < 1e-5);
        let opposite: Vec<f32> = vector.iter().map(|number| -number).collect();
        assert!((cosine(&vector, &opposite) + 1.0).abs() < 1e-5);
    }
}

#[test]
fn near_identical_passages_are_folded_into_the_best() {
    let items = vec![item(0, 0, 0.9), item(1, 0, 0.8), item(2, 0, 0.7), item(3, 0, 0.6), item(4, 0, 0.5)];
    // 0, 1 and 3 point the same way; 3 says something else all the same.
    let vector = |(document, _): Place| Some(direction([0.0, 2.0, 60.0, 1.0, 120.0][document]));
    let texts = [
        "The annual budget covers salaries, rent, travel, books and the summer party of the whole company.",
        "the annual budget covers salaries, rent, travel, books and the summer party of the whole company",
        "Pancakes are made of flour.",
        "The annual budget covers salaries, rent, travel, books and the winter party of 30 people.",
        "Bees dance.",
    ];
    let listed = shortlist(items.clone(), wanted(3), vector);
    assert_eq!(places(&listed), [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0)]);
    let (settled, folded) = settle(listed, 20, |(document, _)| Some(texts[document]));
    assert_eq!((places(&settled), folded), (vec![(0, 0), (2, 0), (3, 0), (4, 0)], 1));
    let duplicate = settled[0].duplicates[0];
    assert_eq!((duplicate.place, duplicate.score), ((1, 0), f64::from(0.8_f32)));
    assert!(duplicate.similarity.unwrap() > 0.99);
    // Enough is enough: nothing after the wanted ones is looked at.
    assert_eq!(places(&shortlist(items.clone(), wanted(1), vector)), [(0, 0)]);
    let all = Wanted { deduplicate: false, ..wanted(9) };
    assert!(shortlist(items, all, vector).iter().all(|item| item.suspect.is_none()));
}

#[test]
fn a_list_of_duplicates_is_bounded() {
    let items: Vec<Item> = (0..30).map(|document| item(document, 0, 0.9)).collect();
    let listed = shortlist(items, wanted(10), |_| Some(direction(0.0)));
    let (settled, folded) = settle(listed, 20, |_| Some("one and the same text"));
    assert_eq!((settled.len(), settled[0].duplicates.len(), folded), (1, 20, 29));
}

#[test]
fn without_vectors_the_words_alone_tell() {
    let items = vec![item(0, 0, 0.9), item(1, 0, 0.9), item(2, 0, 0.5)];
    let listed = shortlist(items, wanted(3), |_| None);
    assert_eq!(listed.iter().filter(|item| item.suspect.is_some()).count(), 1);
    let text = "twelve words make a text that is long enough for some shingles";
    let (settled, folded) = settle(listed, 20, |_| Some(text));
    assert_eq!((settled.len(), folded, settled[0].duplicates[0].similarity), (2, 1, None));
}

#[test]
fn words_must_be_nearly_the_same_and_numbers_just_the_same() {
    let same = |left: &str, right: &str| Words::of(left).same_as(&Words::of(right), true);
    assert!(same("The lamp — it turns!", "the lamp it turns"));
    assert!(same("Ok.", "ok"));
    assert!(!same("ok", "no"));
    let long: String = (0..60).map(|number| format!("word{number} ")).collect::<String>() + "light";
    assert!(same(&long, &format!("{long} window")));
    assert!(!same(&format!("{long} costs 100 euros"), &format!("{long} costs 200 euros")));
    assert!(!same("", "text"));
    assert!(same("", "…"));
}

#[test]
fn a_document_has_so_many_results() {
    let items = vec![item(0, 0, 0.9), item(0, 1, 0.8), item(0, 2, 0.7), item(1, 0, 0.6)];
    let few = Wanted { per_document: Some(2), ..wanted(3) };
    let vector = |(document, passage): Place| Some(direction(40.0 * (3 * document + passage as usize) as f32));
    assert_eq!(places(&shortlist(items.clone(), few, vector)), [(0, 0), (0, 1), (1, 0)]);
    assert_eq!(places(&arrange(items.clone(), 0.0, 10, Some(1), vector)), [(0, 0), (1, 0)]);
    assert_eq!(places(&arrange(items.clone(), 0.5, 10, Some(1), vector)), [(0, 0), (1, 0)]);
    assert_eq!(places(&arrange(items, 0.0, 3, None, vector)), [(0, 0), (0, 1), (0, 2)]);
}

#[test]
fn diversity_prefers_what_is_unlike_the_results_before() {
    let items = vec![item(0, 0, 0.9), item(1, 0, 0.89), item(2, 0, 0.6), item(3, 0, 0.5)];
    let vector = |(document, _): Place| Some(direction([0.0, 5.0, 90.0, 45.0][document]));
    let order = |diversity: f64| places(&arrange(items.clone(), diversity, 4, None, vector));
    assert_eq!(order(0.0), [(0, 0), (1, 0), (2, 0), (3, 0)]);
    assert_eq!(order(0.5), [(0, 0), (2, 0), (1, 0), (3, 0)]);
    let arranged = arrange(items.clone(), 0.5, 4, None, vector);
    // Width 0.4: (1 - 0.5) × 0.6 - 0.5 × 0.4 × cos 90°.
    assert!((arranged[1].score - 0.3).abs() < 1e-6);
    let penalty = arranged[2].penalty.unwrap();
    assert!((penalty.similarity - f64::from(5.0_f32.to_radians().cos())).abs() < 1e-6);
    for (arranged, before) in arranged.iter().map(|item| (item, item.relevance())) {
        assert!((before + arranged.penalty.unwrap().contribution - arranged.score).abs() < 1e-12);
    }
    // Only unlikeness counts: first the best, then the farthest from it.
    assert_eq!(order(1.0)[..2], [(0, 0), (2, 0)]);
}

#[test]
fn the_rerankers_word_takes_the_place_of_the_fused_score() {
    let mut item = item(0, 0, 0.03);
    item.reranked = Some(Reranked { rank: 1, raw: 4.0, normalized: 0.98 });
    item.rescore();
    assert_eq!((item.relevance(), item.score), (0.98, 0.98));
}

proptest! {
    #[test]
    fn scores_never_rise_down_the_list(
        scores in proptest::collection::vec(-1.0_f32..1.0, 1..40), diversity in 0.0_f64..=1.0, seed in 0_u32..1_000,
    ) {
        let mut items: Vec<Item> = scores.iter().enumerate().map(|(document, score)| item(document, 0, *score)).collect();
        sort(&mut items);
        let vector = |(document, _): Place| Some(direction(((document as u32 * 7_919 + seed * 31) % 360) as f32));
        let arranged = arrange(items, diversity, 40, None, vector);
        prop_assert_eq!(arranged.len(), scores.len());
        prop_assert!(arranged.is_sorted_by(|left, right| left.score >= right.score - 1e-9));
    }
}
