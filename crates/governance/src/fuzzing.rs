//! Parsers of data from outside, for the program in `fuzz/`. It exists only when the crate is built for fuzzing.

use std::{ops::Range, sync::OnceLock};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use plasma_kernel::EventId;
use serde_json::{Value, json};

use crate::{
    INSTALLATION, RecordFilter,
    canonical::canonical,
    export::BUNDLE_FORMAT,
    merkle::{
        Frontier, Hash, Node, consistency_ranges, hashes_of, inclusion_ranges, is_consistent, leaf_hash,
        root_of_inclusion, root_over,
    },
    note::{Checkpoint, PublicKey, SEED_BYTES, Signer, open, unverified},
    record::Record,
    search, sinks,
    verify::{Anchor, Trust},
};

/// Each under its name.
pub const TARGETS: &[(&str, fn(&[u8]))] = &[
    ("audit_note", note),
    ("audit_proof", proof),
    ("audit_json", one_form),
    ("audit_record", sinks::fuzzing::record),
    ("audit_search", look),
    ("audit_sink", sinks::fuzzing::sink),
];

const RECORDS: u64 = 12;

/// A whole log as it is exported, and what its verifier relies on.
pub struct SoundLog {
    /// The file.
    pub bundle: String,
    /// Its records.
    pub records: Vec<String>,
    /// The log's key, and a checkpoint of all records.
    pub trust: Trust,
}

fn record(leaf: u64) -> String {
    canonical(&json!({
        "v": 1,
        "log": INSTALLATION,
        "leaf": leaf,
        "id": EventId::from_bits(u128::from(leaf) + 1),
        "at": 1_800_000_000_000_000_u64 + leaf,
        "type": "identity.user.updated",
        "subject": format!("usr_{leaf}"),
        "actor": { "kind": "system", "reason": "fuzzing" },
        "request_id": "req_1",
        "data": { "name": format!("name {leaf}") },
    }))
}

/// A log of some records with two checkpoints: for the target that changes it.
#[allow(clippy::expect_used)] // constants
pub fn sound_log() -> SoundLog {
    let signer = Signer::from_seed(&[7; SEED_BYTES]).expect("a key");
    let origin = format!("plasma-1/audit/{INSTALLATION}");
    let records: Vec<String> = (0..RECORDS).map(record).collect();
    let hashes: Vec<Hash> = records.iter().map(|text| leaf_hash(text.as_bytes())).collect();
    let checkpoint = |size: u64| {
        let root = root_over(slice(&hashes, &(0..size)));
        signer.sign(&Checkpoint { origin: origin.clone(), size, root }).expect("a signature")
    };
    let notes = [checkpoint(5), checkpoint(RECORDS)];
    let mut lines = vec![
        json!({
            "kind": "log",
            "format": BUNDLE_FORMAT,
            "log": INSTALLATION,
            "origin": origin,
            "public_key": signer.public().base64(),
            "size": RECORDS,
            "retained_from": 0,
        })
        .to_string(),
        json!({ "kind": "hashes", "from": 0, "hashes": STANDARD.encode(hashes.concat()) }).to_string(),
    ];
    lines.extend(notes.iter().map(|note| json!({ "kind": "checkpoint", "note": note }).to_string()));
    let numbered = records.iter().zip(0_u64..);
    lines.extend(numbered.map(|(text, leaf)| format!("{{\"kind\":\"record\",\"leaf\":{leaf},\"record\":{text}}}")));
    let [_, note] = notes;
    let trust = Trust { key: Some(signer.public()), anchors: vec![Anchor { source: "an anchor".to_owned(), note }] };
    SoundLog { bundle: lines.join("\n") + "\n", records, trust }
}

fn slice<'a>(hashes: &'a [Hash], range: &Range<u64>) -> &'a [Hash] {
    let place = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    hashes.get(place(range.start)..place(range.end)).unwrap_or_default()
}

/// The key, what it signed, and the note.
fn known() -> &'static (PublicKey, Checkpoint, String) {
    static KNOWN: OnceLock<(PublicKey, Checkpoint, String)> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let checkpoint = Checkpoint { origin: "plasma-1/audit/ten_1".to_owned(), size: 20_852_163, root: [9; 32] };
        let signer = Signer::from_seed(&[7; SEED_BYTES]);
        let signed = signer.and_then(|signer| Ok((signer.public(), signer.sign(&checkpoint)?)));
        let Ok((key, note)) = signed else { unreachable!("a checkpoint cannot be signed") };
        (key, checkpoint, note)
    })
}

/// A note or a key as it is, or (the first byte is odd) a place in the known note and what stands there instead.
fn note(bytes: &[u8]) {
    let Some((which, rest)) = bytes.split_first() else { return };
    let (key, checkpoint, sound) = known();
    let mut given = rest.to_vec();
    if which % 2 == 1 {
        let [high, low, rest @ ..] = rest else { return };
        given = sound.as_bytes().to_vec();
        let place = usize::from(u16::from_be_bytes([*high, *low])) % (given.len() + 1);
        let end = (place + rest.len()).min(given.len());
        given.splice(place..end, rest.iter().copied());
    }
    let Ok(text) = std::str::from_utf8(&given) else { return };
    let opened = open(text, key);
    assert!(text != sound || opened.is_ok(), "what was signed does not open");
    if let Ok(opened) = opened {
        assert_eq!(opened, *checkpoint, "what nobody signed is taken");
        assert_eq!(unverified(text), Some(opened));
    }
    if let Ok(key) = PublicKey::parse(text) {
        for form in [key.pem(), key.verifier_key("plasma-1/audit/ten_1")] {
            assert!(PublicKey::parse(&form).is_ok_and(|again| again == key), "two forms of one key");
        }
    }
    for anchor in Anchor::read_all("a file", text).unwrap_or_default() {
        assert!(!anchor.origin().is_empty(), "an anchor of no log");
    }
}

/// The size of a tree, a leaf, a bit of the proof to turn over, and what the leaves hold; the same bytes also as a proof themselves.
fn proof(bytes: &[u8]) {
    let [size, at, bit, content @ ..] = bytes else { return };
    let size = u64::from(*size).max(1);
    let leaves: Vec<Hash> =
        (0..size).map(|leaf| leaf_hash(&[leaf.to_be_bytes().as_slice(), content].concat())).collect();
    let root = root_over(&leaves);
    let mut frontier = Frontier::default();
    leaves.iter().for_each(|leaf| frontier.push(*leaf));
    assert_eq!((frontier.size(), frontier.root()), (size, root));
    let path_of =
        |ranges: &[Range<u64>]| -> Vec<Hash> { ranges.iter().map(|range| root_over(slice(&leaves, range))).collect() };
    let at = u64::from(*at) % size;
    let Some(leaf) = slice(&leaves, &(at..size)).first().copied() else { return };
    let mut path = path_of(&inclusion_ranges(at, size));
    assert_eq!(root_of_inclusion(at, size, leaf, &path), Some(root), "a right proof is refused");
    assert_ne!(root_of_inclusion(at, size, leaf_hash(b"another"), &path), Some(root));
    turn(&mut path, *bit, |path| assert_ne!(root_of_inclusion(at, size, leaf, path), Some(root), "a wrong proof"));
    let old = at + 1;
    let old_root = root_over(slice(&leaves, &(0..old)));
    let mut path = path_of(&consistency_ranges(old, size));
    assert!(is_consistent(old, size, &old_root, &root, &path), "a right proof is refused");
    turn(&mut path, *bit, |path| assert!(!is_consistent(old, size, &old_root, &root, path), "a wrong proof"));
    any_proof(content);
}

/// Turns a bit of a proof over.
fn turn(path: &mut [Hash], bit: u8, check: impl Fn(&[Hash])) {
    let hash = usize::from(bit) % path.len().max(1);
    let Some(byte) = path.get_mut(hash).and_then(|hash| hash.get_mut(usize::from(bit) % 32)) else { return };
    *byte ^= 1 << (bit % 8);
    check(path);
}

/// A place, a size, and the hashes of a proof, whatever they are.
fn any_proof(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first_chunk::<8>() else { return };
    let Some((second, rest)) = rest.split_first_chunk::<8>() else { return };
    let (from, to) = (u64::from_be_bytes(*first), u64::from_be_bytes(*second));
    let (path, hash) = (hashes_of(rest), leaf_hash(rest));
    let other = leaf_hash(&[rest, b"!".as_slice()].concat());
    let _ = root_of_inclusion(from, to, hash, &path);
    assert!(!is_consistent(from, to, &hash, &other, &path) || from == 0, "a proof by chance");
    if from < to {
        let nodes = Node::cover(&(from..to));
        assert_eq!(nodes.iter().map(|node| 1_u64 << node.level).sum::<u64>(), to - from);
        let _: Vec<_> = nodes.into_iter().map(Node::place).collect();
        assert!(inclusion_ranges(from, to).len() <= 64 && consistency_ranges(from, to).len() <= 65);
    }
}

/// JSON has one form: read again, it is the same.
fn one_form(bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return };
    let text = canonical(&value);
    assert!(!text.contains('\n'), "a record that is no line");
    // Fractions are not read to their last bit.
    if !has_fractions(&value) {
        let again = serde_json::from_str::<Value>(&text);
        assert!(again.is_ok_and(|again| canonical(&again) == text), "two forms of one value");
    }
}

fn has_fractions(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(elements) => elements.iter().any(has_fractions),
        Value::Object(fields) => fields.values().any(has_fractions),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

/// A record, and on the lines below it a text, a type, a subject, an actor and an address to look for.
fn look(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut lines = text.lines();
    let Ok(record) = Record::read(lines.next().unwrap_or_default()) else { return };
    let mut next = || lines.next().filter(|line| !line.is_empty()).map(str::to_owned);
    let filter = RecordFilter {
        text: next(),
        action: next(),
        subject: next(),
        actor: next(),
        address: next(),
        ..RecordFilter::default()
    };
    search::fuzz(&record, filter);
}
