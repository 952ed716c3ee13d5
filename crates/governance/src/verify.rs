//! Proves, without the running program, that a log is whole: nothing in it was edited, put into another order, removed, or cut off
//! at its end; or says which of these happened where.
//!
//! Three things are compared: the records, the hashes of all leaves, and the roots that were signed. A signed root that follows
//! from the hashes proves them, and a record is then compared with its hash. Checkpoints that lie outside (anchors) are taken
//! like those of the log itself, so that a log that was made shorter, checkpoints and all, is found out too.

mod anchors;
mod bundle;
mod classify;
mod database;

use std::{collections::BTreeMap, fmt, ops::Range};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    merkle::{Hash, leaf_hash},
    note::{self, NoteError, PublicKey},
    record::{RECORDS_ERASED, RECORDS_EXPIRED},
    verify::classify::{Evidence, Odd, Point},
};

pub use anchors::Anchor;
pub use bundle::verify_bundle;
pub use database::{verify_logs, verify_snapshot};

/// Findings of one log that a report lists.
const FINDINGS_MAX: usize = 100;

/// What was done to a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tampering {
    /// A record is not what was hashed.
    Edited,
    /// Records stand in another order.
    Reordered,
    /// Records are missing from the middle.
    Removed,
    /// Records are missing from the end.
    CutOff,
    /// There are records that were never in the log.
    Added,
    /// A checkpoint is not signed by the log's key, or contradicts another.
    Forged,
    /// Something cannot be read.
    Damaged,
}

impl Tampering {
    /// The name in words, as in `cut off`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Edited => "edited",
            Self::Reordered => "reordered",
            Self::Removed => "removed",
            Self::CutOff => "cut off",
            Self::Added => "added",
            Self::Forged => "forged",
            Self::Damaged => "damaged",
        }
    }
}

impl fmt::Display for Tampering {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Tampering that was found, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was done.
    pub kind: Tampering,
    /// The first leaf that it concerns.
    pub from: u64,
    /// The first leaf after it.
    pub until: u64,
    /// The id of the record, when one is known.
    pub record: Option<String>,
    /// The same for a person.
    pub detail: String,
}

impl Finding {
    pub(crate) fn new(kind: Tampering, leaves: Range<u64>, detail: impl Into<String>) -> Self {
        Self { kind, from: leaves.start, until: leaves.end, record: None, detail: detail.into() }
    }
}

/// What came of looking at one log.
#[derive(Clone, Debug, Serialize)]
pub struct LogReport {
    /// The tenant whose log it is; `ten_00000000000000000000000000` is the installation.
    pub log: String,
    /// Names the log in its checkpoints.
    pub origin: String,
    /// Whether nothing was found.
    pub intact: bool,
    /// Leaves.
    pub records: u64,
    /// Leaves under a root that was signed.
    pub proven: u64,
    /// The newest leaves, which no checkpoint covers yet.
    pub unsigned: u64,
    /// Records whose details were erased, as the log itself tells.
    pub erased: u64,
    /// Records that were removed because of their age, as the log itself tells.
    pub expired: u64,
    /// Checkpoints of the log with a right signature.
    pub checkpoints: u64,
    /// Checkpoints from outside that were compared.
    pub anchors: u64,
    /// The public key, in base64.
    pub public_key: String,
    /// What was found, the first hundred.
    pub findings: Vec<Finding>,
    /// Findings beyond those.
    pub more_findings: u64,
    /// What the reader should know of how far this proof goes.
    pub notes: Vec<String>,
}

/// On what a verification relies.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// The public key, from outside; `None`: the one that the log brings along.
    pub key: Option<PublicKey>,
    /// Checkpoints from outside.
    pub anchors: Vec<Anchor>,
}

/// A record as it was found.
pub(crate) struct Found<'a> {
    /// Where it says, or its row says, that it stands.
    pub(crate) leaf: u64,
    pub(crate) text: &'a str,
    /// The record that tells of its erasure.
    pub(crate) erased_by: Option<&'a str>,
}

/// What of a record is looked at.
#[derive(Deserialize)]
struct Head<'a> {
    leaf: Option<u64>,
    id: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ErasedData {
    ranges: Vec<(u64, u64)>,
}

#[derive(Deserialize)]
struct ExpiredData {
    until: u64,
}

/// Gathers what there is of one log: hashes first, then checkpoints and records in any order.
pub(crate) struct Verification {
    log: String,
    origin: String,
    key: PublicKey,
    evidence: Evidence,
    /// Whether a record was found for each leaf.
    present: Vec<bool>,
    last_leaf: Option<u64>,
    /// Leaves of erased records, and what tells of them.
    erased: Vec<(u64, String)>,
    /// What records of the log say was erased, by their ids, with the leaf that says so.
    told_erased: BTreeMap<String, (u64, Vec<(u64, u64)>)>,
    /// Up to which leaf records say that others have expired, with the leaf that says so.
    told_expired: Vec<(u64, u64)>,
    checkpoints: u64,
    anchors: u64,
    unsigned_notes: Vec<String>,
    damaged: Vec<String>,
    notes: Vec<String>,
}

impl Verification {
    pub(crate) fn new(log: String, origin: String, key: PublicKey) -> Self {
        Self {
            log,
            origin,
            key,
            evidence: Evidence::default(),
            present: Vec::new(),
            last_leaf: None,
            erased: Vec::new(),
            told_erased: BTreeMap::new(),
            told_expired: Vec::new(),
            checkpoints: 0,
            anchors: 0,
            unsigned_notes: Vec::new(),
            damaged: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// Hashes of leaves from `from` on, in order. After a gap nothing can be proven any more.
    pub(crate) fn hashes(&mut self, from: u64, hashes: &[Hash]) {
        let known = self.evidence.hashes.len() as u64;
        if from == known {
            self.evidence.hashes.extend_from_slice(hashes);
        } else {
            self.damaged(format!("hashes of the leaves {known} to {from} are missing or twice there"));
        }
    }

    /// Hashes that are known by now.
    pub(crate) fn known_hashes(&self) -> &[Hash] {
        &self.evidence.hashes
    }

    /// How many leaves the log says that it has.
    pub(crate) fn claims(&mut self, size: u64) {
        self.evidence.claimed_size = size;
    }

    /// A checkpoint that came with the log.
    pub(crate) fn checkpoint(&mut self, note: &str) {
        match note::open(note, &self.key) {
            Ok(checkpoint) if checkpoint.origin == self.origin => {
                self.checkpoints += 1;
                let source = format!("the log's checkpoint of {} records", checkpoint.size);
                self.evidence.points.push(Point { size: checkpoint.size, root: checkpoint.root, source });
            }
            Ok(checkpoint) => self.unsigned_notes.push(format!("it is one of {}", checkpoint.origin)),
            Err(error) => self.unsigned_notes.push(error.to_string()),
        }
    }

    /// A checkpoint from outside. False when it belongs to another log.
    pub(crate) fn anchor(&mut self, anchor: &Anchor) -> bool {
        if note::unverified(&anchor.note).is_some_and(|checkpoint| checkpoint.origin != self.origin) {
            return false;
        }
        match note::open(&anchor.note, &self.key) {
            Ok(checkpoint) => {
                self.anchors += 1;
                let source = format!("the checkpoint of {} records in {}", checkpoint.size, anchor.source);
                self.evidence.points.push(Point { size: checkpoint.size, root: checkpoint.root, source });
            }
            Err(NoteError::Malformed) => self.damaged(format!("{}: not a checkpoint", anchor.source)),
            Err(error @ NoteError::Signature) => self.unsigned_notes.push(format!("{}: {error}", anchor.source)),
        }
        true
    }

    /// A record, in the order in which they are found.
    pub(crate) fn record(&mut self, found: &Found<'_>) {
        let head: Option<Head<'_>> = serde_json::from_str(found.text).ok();
        let (inner, id) = head.as_ref().map_or((None, None), |head| (head.leaf, head.id.clone()));
        if let Some(last) = self.last_leaf.filter(|last| *last >= found.leaf) {
            self.evidence.out_of_order.push((found.leaf, last));
        }
        self.last_leaf = Some(found.leaf);
        let place = usize::try_from(found.leaf).unwrap_or(usize::MAX);
        let expected = self.evidence.hashes.get(place).copied();
        if self.present.len() < self.evidence.hashes.len() {
            self.present.resize(self.evidence.hashes.len(), false);
        }
        let is_first = match self.present.get_mut(place) {
            Some(present) => !std::mem::replace(present, true),
            None => true,
        };
        if let Some(by) = found.erased_by {
            self.erased.push((found.leaf, by.to_owned()));
            return;
        }
        if let Some(inner) = inner.filter(|inner| *inner != found.leaf) {
            self.evidence.shifted.push((found.leaf, inner));
        }
        let hash = leaf_hash(found.text.as_bytes());
        if expected == Some(hash) && is_first {
            self.remember(found.leaf, head);
        } else {
            self.evidence.odd.push(Odd { claimed: found.leaf, hash, inner, id, is_first });
        }
    }

    /// What a record that is in the log says of others.
    fn remember(&mut self, leaf: u64, head: Option<Head<'_>>) {
        let Some(Head { id: Some(id), kind: Some(kind), data: Some(data), .. }) = head else { return };
        match kind.as_str() {
            RECORDS_ERASED => {
                if let Ok(ErasedData { ranges }) = serde_json::from_str(data.get()) {
                    self.told_erased.insert(id, (leaf, ranges));
                }
            }
            RECORDS_EXPIRED => {
                if let Ok(ExpiredData { until }) = serde_json::from_str(data.get()) {
                    self.told_expired.push((leaf, until));
                }
            }
            _ => {}
        }
    }

    /// Something that cannot be read.
    pub(crate) fn damaged(&mut self, what: String) {
        if self.damaged.len() < FINDINGS_MAX {
            self.damaged.push(what);
        }
    }

    /// A finding that whoever reads the log has made itself.
    pub(crate) fn found(&mut self, finding: Finding) {
        self.evidence.findings.push(finding);
    }

    /// Something that the reader should know.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Compares everything.
    pub(crate) fn finish(mut self) -> LogReport {
        // Anybody can append a record that is under no checkpoint: what it tells explains nothing.
        let proven = self.evidence.proven();
        let expired = self.settle_missing(proven);
        let erased = self.settle_erased(proven);
        let leaves = self.evidence.hashes.len() as u64;
        let mut findings = classify::classify(&mut self.evidence, proven);
        if let Some(first) = self.unsigned_notes.first() {
            let count = self.unsigned_notes.len();
            let detail = format!("{count} checkpoints are not the log's; of the first: {first}");
            findings.push(Finding::new(Tampering::Forged, 0..0, detail));
        }
        findings.extend(self.damaged.drain(..).map(|what| Finding::new(Tampering::Damaged, 0..0, what)));
        findings.sort_by_key(|finding| (finding.from, finding.kind));
        let intact = findings.is_empty();
        let more_findings = findings.len().saturating_sub(FINDINGS_MAX) as u64;
        findings.truncate(FINDINGS_MAX);
        let unsigned = leaves.saturating_sub(proven);
        if intact && unsigned > 0 {
            self.notes.push(format!("the newest {unsigned} records are under no checkpoint yet: they are not proven"));
        }
        if self.anchors == 0 {
            self.notes.push(
                "no checkpoint from outside was compared: whoever rules the database could have cut off the end together \
                 with its checkpoints; give one with --anchor"
                    .to_owned(),
            );
        }
        LogReport {
            log: self.log,
            origin: self.origin,
            intact,
            records: leaves,
            proven,
            unsigned,
            erased,
            expired,
            checkpoints: self.checkpoints,
            anchors: self.anchors,
            public_key: self.key.base64(),
            findings,
            more_findings,
            notes: self.notes,
        }
    }

    /// Leaves without a record: those that the proven part of the log tells to have expired are counted, the others are evidence.
    fn settle_missing(&mut self, proven: u64) -> u64 {
        let told = self.told_expired.iter().filter(|(by, _)| *by < proven);
        let told_until = told.map(|(_, until)| *until).max().unwrap_or(0);
        self.present.resize(self.evidence.hashes.len(), false);
        let mut expired = 0;
        for (leaf, present) in (0_u64..).zip(&self.present) {
            if *present {
                continue;
            }
            if leaf < told_until {
                expired += 1;
                continue;
            }
            match self.evidence.missing.last_mut() {
                Some(range) if range.end == leaf => range.end += 1,
                _ => self.evidence.missing.push(leaf..leaf + 1),
            }
        }
        expired
    }

    /// Erased records of which the proven part of the log tells are counted; the others were edited.
    fn settle_erased(&mut self, proven: u64) -> u64 {
        let mut told = 0;
        for (leaf, by) in self.erased.drain(..) {
            let ranges = self.told_erased.get(&by).filter(|(by, _)| *by < proven);
            if ranges.is_some_and(|(_, ranges)| ranges.iter().any(|(from, until)| (*from..*until).contains(&leaf))) {
                told += 1;
                continue;
            }
            let detail =
                format!("the record at {leaf} says that it was erased, but no proven record of the log tells of that");
            self.evidence.findings.push(Finding::new(Tampering::Edited, leaf..leaf + 1, detail));
        }
        told
    }
}
