//! Results that do not repeat each other: near-identical passages are folded into the best of them, and the rest may be ordered by
//! maximal marginal relevance.

use std::collections::{HashMap, HashSet};

use super::{
    fusion::{Fused, Place},
    signals::Signals,
};

/// Vectors of near-identical passages are at least this much alike. The words decide: this only says which pairs are looked at, and
/// another sign at the end of a sentence already costs some hundredths.
const SAME_COSINE_MIN: f32 = 0.95;
/// Shingles that near-identical passages share at least, of all that either has; where only the words tell it, more.
const SAME_SHINGLES_MIN: f64 = 0.85;
const SAME_SHINGLES_ALONE_MIN: f64 = 0.95;
/// Words of a shingle.
const SHINGLE: usize = 3;
/// Near-identical passages without vectors have scores of words that are this close, as a share.
const SAME_BM25: f32 = 0.02;
/// Numbers that are multiplied side by side.
const LANES: usize = 16;

/// A candidate on its way to a result.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) fused: Fused,
    pub(crate) signals: Signals,
    /// The reranker's word, once it has read the passage.
    pub(crate) reranked: Option<Reranked>,
    /// What likeness to better results takes of the score.
    pub(crate) penalty: Option<Penalty>,
    /// What the results are ordered by.
    pub(crate) score: f64,
    /// The better candidate that this one may be the same as.
    pub(crate) suspect: Option<Suspect>,
    /// Near-identical candidates that were folded into this one.
    pub(crate) duplicates: Vec<Folded>,
}

/// A reranker's word.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reranked {
    /// From 1.
    pub(crate) rank: u32,
    /// The model's own.
    pub(crate) raw: f64,
    /// 0 to 1.
    pub(crate) normalized: f64,
}

/// What diversity took of a score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Penalty {
    /// The most alike of the better results: 0 to 1; 0 for the first.
    pub(crate) similarity: f64,
    /// How much it counts.
    pub(crate) weight: f64,
    /// What it adds to the score: mostly below 0.
    pub(crate) contribution: f64,
}

/// A likeness that the words have to confirm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Suspect {
    pub(crate) of: Place,
    /// `None` without vectors.
    pub(crate) similarity: Option<f32>,
}

/// A passage that is not shown, because a better one says the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Folded {
    pub(crate) place: Place,
    pub(crate) score: f64,
    pub(crate) similarity: Option<f32>,
}

impl Item {
    pub(crate) fn new(fused: Fused, signals: Signals) -> Self {
        let mut item =
            Self { fused, signals, reranked: None, penalty: None, score: 0.0, suspect: None, duplicates: Vec::new() };
        item.rescore();
        item
    }

    pub(crate) fn place(&self) -> Place {
        self.fused.place
    }

    /// The relevance before signals: the reranker's word, else the fused score.
    pub(crate) fn relevance(&self) -> f64 {
        self.reranked.map_or(self.fused.score, |reranked| reranked.normalized)
    }

    /// Relevance and signals anew, without diversity.
    pub(crate) fn rescore(&mut self) {
        let relevance = self.relevance();
        self.penalty = None;
        self.score = relevance + self.signals.contribution(relevance);
    }

    fn cosine(&self) -> f32 {
        self.fused.vector.map_or(-1.0, |part| part.found.score)
    }
}

/// Puts candidates in order: by score, then by cosine, then by place.
pub(crate) fn sort(items: &mut [Item]) {
    items.sort_by(|left, right| {
        right
            .score
            .total_cmp(&left.score)
            .then_with(|| right.cosine().total_cmp(&left.cosine()))
            .then_with(|| left.place().cmp(&right.place()))
    });
}

/// The cosine of two vectors of length 1.
pub(crate) fn cosine(left: &[f32], right: &[f32]) -> f32 {
    let mut sums = [0.0_f32; LANES];
    let (left_chunks, left_rest) = left.as_chunks::<LANES>();
    let (right_chunks, right_rest) = right.as_chunks::<LANES>();
    for (left, right) in left_chunks.iter().zip(right_chunks) {
        for ((sum, left), right) in sums.iter_mut().zip(left).zip(right) {
            *sum += left * right;
        }
    }
    let rest: f32 = left_rest.iter().zip(right_rest).map(|(left, right)| left * right).sum();
    (sums.iter().sum::<f32>() + rest).clamp(-1.0, 1.0)
}

/// What a shortlist is made for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// Different passages.
    pub(crate) count: usize,
    /// Of one document at most.
    pub(crate) per_document: Option<usize>,
    pub(crate) deduplicate: bool,
}

/// The first of the ordered candidates that are wanted, with those that may be the same as a better one marked as suspects. Each
/// candidate is only compared with the better ones that are kept, until enough are kept.
pub(crate) fn shortlist(items: Vec<Item>, wanted: Wanted, vector: impl Fn(Place) -> Option<Vec<f32>>) -> Vec<Item> {
    let mut chosen: Vec<Item> = Vec::new();
    // Where the kept ones stand in `chosen`, with their vectors.
    let mut kept: Vec<(usize, Option<Vec<f32>>)> = Vec::new();
    let mut of_document: HashMap<usize, usize> = HashMap::new();
    for mut item in items {
        if kept.len() == wanted.count {
            break;
        }
        let own = if wanted.deduplicate { vector(item.place()) } else { None };
        if wanted.deduplicate {
            let same = kept
                .iter()
                .find_map(|(at, better)| suspicion(&item, own.as_deref(), chosen.get(*at)?, better.as_deref()));
            if same.is_some() {
                item.suspect = same;
                chosen.push(item);
                continue;
            }
        }
        let count = of_document.entry(item.place().0).or_default();
        if wanted.per_document.is_some_and(|most| *count >= most) {
            continue;
        }
        *count += 1;
        kept.push((chosen.len(), own));
        chosen.push(item);
    }
    chosen
}

fn suspicion(item: &Item, own: Option<&[f32]>, better: &Item, other: Option<&[f32]>) -> Option<Suspect> {
    let of = better.place();
    match (own, other) {
        (Some(own), Some(other)) if own.len() == other.len() => {
            let similarity = cosine(own, other);
            (similarity >= SAME_COSINE_MIN).then_some(Suspect { of, similarity: Some(similarity) })
        }
        _ => {
            let (own, other) = (item.fused.text?.found.score, better.fused.text?.found.score);
            ((own - other).abs() <= SAME_BM25 * other.abs()).then_some(Suspect { of, similarity: None })
        }
    }
}

/// Folds suspects whose words are (nearly) those of the better one, at most `duplicates_max` into each; the others stand for
/// themselves again. `text` gives the text of a passage that is a suspect or suspected of.
pub(crate) fn settle<'a>(
    items: Vec<Item>,
    duplicates_max: usize,
    text: impl Fn(Place) -> Option<&'a str>,
) -> (Vec<Item>, u64) {
    let mut words: HashMap<Place, Words> = HashMap::new();
    let mut folded: HashMap<Place, Vec<Folded>> = HashMap::new();
    let mut count = 0;
    let mut kept: Vec<Item> = Vec::with_capacity(items.len());
    for mut item in items {
        if let Some(suspect) = item.suspect.take() {
            for place in [item.place(), suspect.of] {
                if let (false, Some(text)) = (words.contains_key(&place), text(place)) {
                    words.insert(place, Words::of(text));
                }
            }
            let same = match (words.get(&item.place()), words.get(&suspect.of)) {
                (Some(own), Some(other)) => own.same_as(other, suspect.similarity.is_some()),
                // What is gone by now is not shown anyway.
                _ => false,
            };
            if same {
                count += 1;
                let list = folded.entry(suspect.of).or_default();
                if list.len() < duplicates_max {
                    list.push(Folded { place: item.place(), score: item.score, similarity: suspect.similarity });
                }
                continue;
            }
        }
        kept.push(item);
    }
    for item in &mut kept {
        item.duplicates = folded.remove(&item.place()).unwrap_or_default();
    }
    (kept, count)
}

/// The words of a text as they are compared: in lower case, without punctuation.
struct Words {
    /// Runs of three words (Broder: On the resemblance and containment of documents, 1997); a shorter text is one run.
    shingles: HashSet<String>,
    /// Words with digits, in order: texts that differ in a number do not say the same.
    numbers: Vec<String>,
}

impl Words {
    fn of(text: &str) -> Self {
        let words: Vec<String> = text
            .split(|letter: char| !letter.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect();
        let numbers = words.iter().filter(|word| word.chars().any(char::is_numeric)).cloned().collect();
        let shingles = if words.len() < SHINGLE {
            HashSet::from([words.join(" ")])
        } else {
            words.windows(SHINGLE).map(|run| run.join(" ")).collect()
        };
        Self { shingles, numbers }
    }

    fn same_as(&self, other: &Self, alike_by_vectors: bool) -> bool {
        if self.numbers != other.numbers {
            return false;
        }
        let shared = self.shingles.intersection(&other.shingles).count();
        let all = self.shingles.len() + other.shingles.len() - shared;
        let least = if alike_by_vectors { SAME_SHINGLES_MIN } else { SAME_SHINGLES_ALONE_MIN };
        #[allow(clippy::cast_precision_loss)] // a passage has some hundred words
        let resemblance = shared as f64 / all.max(1) as f64;
        resemblance >= least
    }
}

/// Chooses results by maximal marginal relevance (Carbonell and Goldstein: The use of MMR, diversity-based reranking, SIGIR 1998):
/// each is the one with the highest (1 - d) × score - d × width × likeness, where the likeness is the cosine to the most alike of
/// those chosen before, and the width, from the lowest to the highest score, makes both comparable. That is the MMR of scores
/// normalised to 0 to 1, said in the unit of the scores. Without diversity the order stays. At most `per_document` of a document.
pub(crate) fn arrange(
    mut items: Vec<Item>,
    diversity: f64,
    limit: usize,
    per_document: Option<usize>,
    vector: impl Fn(Place) -> Option<Vec<f32>>,
) -> Vec<Item> {
    let mut of_document: HashMap<usize, usize> = HashMap::new();
    let mut allowed = |item: &Item| {
        let count = of_document.entry(item.place().0).or_default();
        *count += 1;
        per_document.is_none_or(|most| *count <= most)
    };
    if diversity <= 0.0 {
        items.retain(&mut allowed);
        items.truncate(limit);
        return items;
    }
    let (low, high) = items
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), item| (low.min(item.score), high.max(item.score)));
    let width = if high > low { high - low } else { 1.0 };
    let mut rest: Vec<Contender> =
        items.into_iter().map(|item| Contender { vector: vector(item.place()), item, likeness: 0.0 }).collect();
    let mut chosen: Vec<Item> = Vec::with_capacity(limit.min(rest.len()));
    while chosen.len() < limit {
        let value = |contender: &Contender| contender.value(diversity, width);
        // The first of equals: they stand in the order of their scores.
        let best = rest.iter().enumerate().fold(None::<(usize, f64)>, |best, (at, contender)| match best {
            Some((_, highest)) if value(contender) <= highest => best,
            _ => Some((at, value(contender))),
        });
        let Some((at, score)) = best else { break };
        let Contender { mut item, vector, likeness } = rest.remove(at);
        if !allowed(&item) {
            continue;
        }
        let contribution = score - item.score;
        item.penalty = Some(Penalty { similarity: likeness, weight: diversity, contribution });
        item.score = score;
        chosen.push(item);
        for contender in &mut rest {
            contender.beside(vector.as_deref());
        }
    }
    chosen
}

/// A candidate that may be chosen next.
struct Contender {
    item: Item,
    vector: Option<Vec<f32>>,
    /// To the most alike of those chosen.
    likeness: f64,
}

impl Contender {
    fn value(&self, diversity: f64, width: f64) -> f64 {
        (1.0 - diversity) * self.item.score - diversity * width * self.likeness
    }

    fn beside(&mut self, chosen: Option<&[f32]>) {
        if let (Some(own), Some(chosen)) = (&self.vector, chosen)
            && own.len() == chosen.len()
        {
            self.likeness = self.likeness.max(f64::from(cosine(own, chosen)));
        }
    }
}

#[cfg(test)]
mod tests;
