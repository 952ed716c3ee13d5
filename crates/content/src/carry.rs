//! Citations across an edit.
//!
//! A citation belongs to a statement. It lives on as long as that sentence stands in the body, wherever it has moved;
//! white space, emphasis and the citation marks themselves may change. A sentence that was reworded is a new statement, and
//! nobody has checked it against the source.

use std::{collections::HashMap, ops::Range};

use plasma_knowledge::ask::{sentences, without_marks};

use crate::Citation;

/// The citations of `old_body` whose statements are in `new_body` too, at their new places, in the order of the text.
pub(crate) fn carry(citations: &[Citation], old_body: &str, new_body: &str) -> Vec<Citation> {
    if citations.is_empty() {
        return Vec::new();
    }
    let old = statements(old_body);
    let mut places: HashMap<&str, Vec<&Range<u32>>> = HashMap::new();
    let new = statements(new_body);
    for (key, range) in &new {
        places.entry(key).or_default().push(range);
    }
    let mut carried: Vec<Citation> = Vec::new();
    for citation in citations {
        let Some((key, _)) = old.iter().find(|(_, range)| range.start == citation.body_start) else { continue };
        // The same sentence may stand twice: the second stays the second.
        let before = old.iter().filter(|(other, range)| other == key && range.start < citation.body_start).count();
        let Some(all) = places.get(key.as_str()) else { continue };
        let Some(range) = all.get(before).or(all.last()) else { continue };
        let citation = Citation { body_start: range.start, body_end: range.end, ..citation.clone() };
        if !carried.contains(&citation) {
            carried.push(citation);
        }
    }
    carried.sort_by_key(|citation| citation.body_start);
    carried
}

/// The sentences of a body, without what may change, and where they stand in code points.
fn statements(body: &str) -> Vec<(String, Range<u32>)> {
    let mut position = Position { text: body, byte: 0, character: 0 };
    sentences(body)
        .into_iter()
        .map(|sentence| {
            let text = without_marks(body.get(sentence.range.clone()).unwrap_or_default()).replace(['*', '_', '`'], "");
            let key = text.split_whitespace().collect::<Vec<_>>().join(" ");
            (key, position.to(sentence.range.start)..position.to(sentence.range.end))
        })
        .collect()
}

/// Turns ascending byte offsets into code points in one pass.
struct Position<'a> {
    text: &'a str,
    byte: usize,
    character: u32,
}

impl Position<'_> {
    fn to(&mut self, byte: usize) -> u32 {
        let passed = self.text.get(self.byte..byte).unwrap_or_default().chars().count();
        self.character += u32::try_from(passed).unwrap_or(0);
        self.byte = byte;
        self.character
    }
}

#[cfg(test)]
mod tests {
    use plasma_kernel::{ChunkId, CollectionId, KnowledgeDocumentId};

    use super::*;

    fn cited(body: &str, statement: &str, number: u32) -> Citation {
        let start = body.find(statement).unwrap();
        let body_start = body[..start].chars().count() as u32;
        Citation {
            number,
            passage_id: ChunkId::from_bits(u128::from(number)),
            document_id: KnowledgeDocumentId::from_bits(1),
            collection_id: CollectionId::from_bits(1),
            title: "Source".to_owned(),
            quote: "Quote".to_owned(),
            start: 0,
            end: 5,
            body_start,
            body_end: body_start + statement.chars().count() as u32,
        }
    }

    /// Numbers and statements after the edit.
    fn after(citations: &[Citation], old: &str, new: &str) -> Vec<(u32, String)> {
        let slice = |citation: &Citation| {
            let length = (citation.body_end - citation.body_start) as usize;
            new.chars().skip(citation.body_start as usize).take(length).collect()
        };
        carry(citations, old, new).iter().map(|citation| (citation.number, slice(citation))).collect()
    }

    const BODY: &str =
        "🎉 Intro.\n\nCopies stay for 30 days [1]. They are encrypted [2].\n\n- A restore needs the key [1][3].\n";

    fn citations() -> Vec<Citation> {
        vec![
            cited(BODY, "Copies stay for 30 days [1].", 1),
            cited(BODY, "They are encrypted [2].", 2),
            cited(BODY, "A restore needs the key [1][3].", 3),
        ]
    }

    #[test]
    fn statements_that_stay_keep_their_citations_wherever_they_move() {
        let new = "A restore **needs** the\nkey [3].\n\nNew words 🎉🎉. Copies stay for 30 days. They are always encrypted [2].";
        assert_eq!(
            after(&citations(), BODY, new),
            [(3, "A restore **needs** the\nkey [3].".to_owned()), (1, "Copies stay for 30 days.".to_owned())]
        );
    }

    #[test]
    fn an_unchanged_body_keeps_all_and_an_empty_one_none() {
        assert_eq!(carry(&citations(), BODY, BODY), citations());
        assert_eq!(carry(&citations(), BODY, ""), []);
    }

    #[test]
    fn of_two_equal_sentences_each_keeps_its_own() {
        let body = "It is so. Other words here. It is so.";
        let mut second = cited(body, "It is so.", 2);
        second.body_start = 28;
        second.body_end = 37;
        let both = [cited(body, "It is so.", 1), second];
        let new = "Before. It is so. It is so.";
        let places: Vec<_> =
            carry(&both, body, new).iter().map(|citation| (citation.number, citation.body_start)).collect();
        assert_eq!(places, [(1, 8), (2, 18)]);
    }

    #[test]
    fn a_book_is_compared_in_time() {
        let body = "Copies stay for 30 days [1]. ".repeat(36_000);
        let started = std::time::Instant::now();
        assert_eq!(carry(&[cited(&body, "Copies stay for 30 days [1].", 1)], &body, &body).len(), 1);
        assert!(started.elapsed() < std::time::Duration::from_secs(5), "took {:?}", started.elapsed());
    }
}
