#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::cell::Cell;

use proptest::{collection::vec, prelude::*};

use super::{Chunk, ChunkOptions, CodePointIndex, chunk};
use crate::parse::{Block, BlockKind, Format, Limits, Parsed, parse};

/// Counts words, and in long words every eight characters: additive over words.
fn count(text: &str) -> usize {
    text.split_whitespace().map(|word| word.chars().count().div_ceil(8)).sum()
}

fn markdown(text: &str) -> Parsed {
    parse(Format::Markdown, text.as_bytes(), &Limits::default()).unwrap()
}

fn small() -> ChunkOptions {
    ChunkOptions { target_tokens: 12, max_tokens: 20, overlap_tokens: 5, heading_bytes_max: 60 }
}

/// Heading and text of each passage.
fn passages(parsed: &Parsed, options: &ChunkOptions) -> Vec<(Option<String>, String)> {
    let chunks = chunk(parsed, options, &count);
    check(parsed, &chunks, options);
    chunks.iter().map(|chunk| (chunk.heading.clone(), chunk.text(&parsed.text).to_owned())).collect()
}

/// What holds for the passages of every document.
fn check(parsed: &Parsed, chunks: &[Chunk], options: &ChunkOptions) {
    let text = &parsed.text;
    let mut covered = vec![false; text.len()];
    for (index, chunk) in chunks.iter().enumerate() {
        assert_eq!(chunk.ordinal as usize, index);
        assert!(chunk.start < chunk.end && chunk.end <= text.len());
        assert!(text.is_char_boundary(chunk.start) && text.is_char_boundary(chunk.end));
        assert_eq!(chunk.text(text).trim(), chunk.text(text));
        assert!(chunk.tokens <= options.max_tokens, "{} tokens in {:?}", chunk.tokens, chunk.text(text));
        assert!(count(chunk.text(text)) <= chunk.tokens);
        assert!(
            chunk
                .heading
                .as_ref()
                .is_none_or(|heading| !heading.is_empty() && heading.len() <= options.heading_bytes_max)
        );
        covered[chunk.start..chunk.end].fill(true);
    }
    for pair in chunks.windows(2) {
        assert!(pair[0].start < pair[1].start && pair[0].end < pair[1].end, "in order, and each brings something new");
    }
    for (place, character) in text.char_indices() {
        assert!(covered[place] || character.is_whitespace(), "{character:?} at {place} is in no passage");
    }
    // Within a passage, headings stand only at the start.
    for chunk in chunks {
        let mut seen_text = false;
        for block in parsed.blocks.iter().filter(|block| block.range.start < chunk.end && block.range.end > chunk.start)
        {
            let is_heading = matches!(block.kind, BlockKind::Heading { .. });
            assert!(!(is_heading && seen_text), "a passage crosses a heading");
            seen_text |= !is_heading;
        }
    }
}

#[test]
fn passages_follow_the_headings() {
    let parsed = markdown(
        "intro words\n\n# Guide\n\n## Install\n\none two three\n\nfour five six\n\n## Use\n\nseven\n\n# Other\n\neight",
    );
    assert_eq!(
        passages(&parsed, &small()),
        [
            (None, "intro words".to_owned()),
            (Some("Guide > Install".to_owned()), "Guide\n\nInstall\n\none two three\n\nfour five six".to_owned()),
            (Some("Guide > Use".to_owned()), "Use\n\nseven".to_owned()),
            (Some("Other".to_owned()), "Other\n\neight".to_owned()),
        ]
    );
}

#[test]
fn paragraphs_are_packed_up_to_the_target() {
    let parsed = markdown("a b c d e\n\nf g h i j\n\nk l m n o\n\np q r s t u v w x y z 1 2 3 4 5");
    let texts: Vec<String> = passages(&parsed, &small()).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["a b c d e\n\nf g h i j", "k l m n o", "p q r s t u v w x y z 1 2 3 4 5"]);
}

#[test]
fn a_long_paragraph_is_divided_between_sentences_with_some_overlap() {
    let sentence = |word: &str| format!("{} end.", [word; 3].join(" "));
    let text: Vec<String> = ["One", "Two", "Three", "Four", "Five", "Six"].map(sentence).to_vec();
    let texts: Vec<String> = passages(&markdown(&text.join(" ")), &small()).into_iter().map(|(_, text)| text).collect();
    assert_eq!(
        texts,
        [
            "One One One end. Two Two Two end. Three Three Three end.",
            "Three Three Three end. Four Four Four end. Five Five Five end.",
            "Five Five Five end. Six Six Six end.",
        ]
    );
}

#[test]
fn line_breaks_within_a_sentence_do_not_divide_it() {
    let parsed = parse(Format::Text, b"A wrapped\nsentence goes over\nthree lines here. Another one\nfollows and is just as long as that. And a last one of some words ends it.", &Limits::default()).unwrap();
    let texts: Vec<String> = passages(&parsed, &small()).into_iter().map(|(_, text)| text).collect();
    assert!(texts[0].ends_with("three lines here."), "{texts:?}");
}

#[test]
fn rows_and_code_stay_whole_where_they_can() {
    let row = |number: usize| format!("name: person {number}\ncity: somewhere\n");
    let table: String =
        "name,city\n".to_owned() + &(1..=4).map(|number| format!("person {number},somewhere\n")).collect::<String>();
    let parsed = parse(Format::Csv, table.as_bytes(), &Limits::default()).unwrap();
    let texts: Vec<String> = passages(&parsed, &small()).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, [(row(1) + "\n" + &row(2)).trim(), (row(3) + "\n" + &row(4)).trim()]);
    let code = markdown(&format!("```\n{}```", "let a = b + c;\n".repeat(6)));
    assert!(passages(&code, &small()).iter().all(|(_, text)| text.lines().all(|line| line == "let a = b + c;")));
}

#[test]
fn giant_sentences_and_words_are_divided() {
    let long_sentence = "word ".repeat(100);
    assert!(
        passages(&markdown(&long_sentence), &small())
            .iter()
            .all(|(_, text)| text.split(' ').all(|word| word == "word"))
    );
    let long_word = "é".repeat(5_000);
    assert!(passages(&markdown(&long_word), &small()).len() >= 5_000 / (20 * 8));
}

#[test]
fn long_heading_paths_are_shortened_from_outside() {
    let parsed = markdown(&format!("# {}\n\n## Middle\n\n### {}\n\ntext", "Outer ".repeat(6), "Inner ".repeat(4)));
    let headings: Vec<Option<String>> = passages(&parsed, &small()).into_iter().map(|(heading, _)| heading).collect();
    assert_eq!(headings.last().unwrap().as_deref(), Some("Middle > Inner Inner Inner Inner"));
    let parsed = markdown(&format!("# {}\n\ntext", "Wide".repeat(100)));
    assert_eq!(passages(&parsed, &small()).last().unwrap().0.as_ref().unwrap().len(), 60);
}

#[test]
fn tokens_are_counted_about_once() {
    let text = "A sentence of some words. ".repeat(20_000);
    let parsed = parse(Format::Text, text.as_bytes(), &Limits::default()).unwrap();
    let counted = Cell::new(0);
    let counter = |text: &str| {
        counted.set(counted.get() + text.len());
        count(text)
    };
    let chunks = chunk(&parsed, &ChunkOptions::default(), &counter);
    assert!(chunks.len() > 500);
    assert!(counted.get() <= text.len() * 2, "{} bytes counted of {}", counted.get(), text.len());
}

/// Documents of random blocks with random text.
fn documents() -> impl Strategy<Value = Parsed> {
    let kind = prop_oneof![
        (1..=6_u8).prop_map(|level| BlockKind::Heading { level }),
        Just(BlockKind::Paragraph),
        Just(BlockKind::ListItem),
        Just(BlockKind::Code),
        Just(BlockKind::TableRow),
    ];
    let words = prop_oneof!["[a-zé]{1,12}", "[a-z]{30,200}", "[.!?,;:()\"' -]{1,5}", "\\PC{1,20}", "\n", " {1,90}"];
    let block = (kind, vec(words, 1..60)).prop_map(|(kind, words)| (kind, words.join(" ").trim().to_owned()));
    vec(block, 0..12).prop_map(|blocks| {
        let mut parsed = Parsed { title: None, text: String::new(), blocks: Vec::new() };
        for (kind, text) in blocks.into_iter().filter(|(_, text)| !text.is_empty()) {
            if !parsed.text.is_empty() {
                parsed.text.push_str("\n\n");
            }
            let start = parsed.text.len();
            parsed.text.push_str(&text);
            parsed.blocks.push(Block { range: start..parsed.text.len(), kind, page: None });
        }
        parsed
    })
}

proptest! {
    #[test]
    fn passages_keep_their_promises(parsed in documents(), target in 1..40_usize, extra in 0..20_usize, overlap in 0..10_usize) {
        let options = ChunkOptions { target_tokens: target, max_tokens: target + extra, overlap_tokens: overlap, heading_bytes_max: 40 };
        let chunks = chunk(&parsed, &options, &count);
        check(&parsed, &chunks, &options);
        prop_assert_eq!(chunk(&parsed, &options, &count), chunks);
    }

    #[test]
    fn code_points_are_counted_exactly(text in "(\\PC|[a-z]{50}|é){0,400}", places in vec(any::<usize>(), 0..20)) {
        let index = CodePointIndex::new(&text);
        let starts: Vec<usize> = text.char_indices().map(|(start, _)| start).chain([text.len()]).collect();
        prop_assert_eq!(index.length(), starts.len() - 1);
        for place in places {
            let code_point = place % starts.len();
            prop_assert_eq!(index.code_points(starts[code_point]), code_point);
            prop_assert_eq!(index.byte_offset(code_point), starts[code_point]);
        }
        prop_assert_eq!(index.code_points(text.len() + 7), index.length());
        prop_assert_eq!(index.byte_offset(starts.len() + 7), text.len());
    }
}
