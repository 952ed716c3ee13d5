//! Which kind of tampering explains what was found.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Range,
};

use super::{Finding, Tampering};
use crate::merkle::{Frontier, Hash};

/// A root that was signed.
#[derive(Clone, Debug)]
pub(super) struct Point {
    pub(super) size: u64,
    pub(super) root: Hash,
    /// How to call it.
    pub(super) source: String,
}

/// A record that is not what the hash of its place says.
#[derive(Clone, Debug)]
pub(super) struct Odd {
    /// Where it stands.
    pub(super) claimed: u64,
    pub(super) hash: Hash,
    /// Where it says itself that it stands.
    pub(super) inner: Option<u64>,
    pub(super) id: Option<String>,
    /// False when another record stood there before.
    pub(super) is_first: bool,
}

/// Everything that there is of a log.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// Of all leaves, from the first.
    pub(super) hashes: Vec<Hash>,
    /// With right signatures.
    pub(super) points: Vec<Point>,
    /// How many leaves the log says that it has.
    pub(super) claimed_size: u64,
    /// In the order in which they were found.
    pub(super) odd: Vec<Odd>,
    /// Leaves without a record, in order.
    pub(super) missing: Vec<Range<u64>>,
    /// Where records stand and where they say themselves that they stand, when these differ.
    pub(super) shifted: Vec<(u64, u64)>,
    /// Records that were found after one that comes later.
    pub(super) out_of_order: Vec<(u64, u64)>,
    /// What was found otherwise.
    pub(super) findings: Vec<Finding>,
}

impl Evidence {
    /// How many leaves are under a root that was signed and follows from the hashes.
    pub(super) fn proven(&mut self) -> u64 {
        self.points.sort_by_key(|point| point.size);
        let matches = compare_roots(self);
        let proven = self.points.iter().zip(matches).filter(|(_, matches)| *matches == Some(true));
        proven.map(|(point, _)| point.size).max().unwrap_or(0)
    }
}

/// What explains that not everything fits, when the first `proven` leaves are proven.
pub(super) fn classify(evidence: &mut Evidence, proven: u64) -> Vec<Finding> {
    let mut findings = std::mem::take(&mut evidence.findings);
    let leaves = evidence.hashes.len() as u64;
    let matches = compare_roots(evidence);
    findings.extend(by_records(evidence));
    findings.extend(evidence.out_of_order.iter().map(|(leaf, after)| {
        let detail = format!("the record at {leaf} stands behind that at {after}");
        Finding::new(Tampering::Reordered, *leaf..leaf + 1, detail)
    }));
    let contradicts = |(point, matches): &(&Point, &Option<bool>)| **matches == Some(false) && point.size <= proven;
    for (point, _) in evidence.points.iter().zip(&matches).filter(contradicts) {
        let detail = format!("{} contradicts one that was signed later: two histories were signed", point.source);
        findings.push(Finding::new(Tampering::Forged, 0..point.size, detail));
    }
    let changed =
        evidence.points.iter().zip(&matches).find(|(point, matches)| **matches == Some(false) && point.size > proven);
    let largest = evidence.points.last().filter(|point| point.size > leaves);
    if let Some((point, _)) = changed {
        let region = proven..point.size;
        let is_explained = findings.iter().any(|finding| finding.from < region.end && finding.until > region.start);
        if !is_explained {
            findings.push(by_region(evidence, &region, point, largest.is_some()));
        }
    } else if let Some(point) = largest {
        let is_known = findings.iter().any(|finding| finding.kind == Tampering::CutOff);
        if !is_known {
            findings.push(beyond(evidence, proven, point));
        }
    } else if evidence.claimed_size > leaves && !findings.iter().any(|finding| finding.until >= leaves) {
        let claimed = evidence.claimed_size;
        let detail = format!("the log says that it has {claimed} records, but it ends at {leaves}");
        findings.push(Finding::new(Tampering::CutOff, leaves..claimed, detail));
    }
    findings
}

/// For each point whether its root follows from the hashes; `None` when there are fewer hashes.
fn compare_roots(evidence: &Evidence) -> Vec<Option<bool>> {
    let mut frontier = Frontier::default();
    let mut hashes = evidence.hashes.iter();
    evidence
        .points
        .iter()
        .map(|point| {
            while frontier.size() < point.size {
                frontier.push(*hashes.next()?);
            }
            Some(frontier.root() == point.root)
        })
        .collect()
}

/// What records that do not fit their hashes, and leaves without a record, tell.
fn by_records(evidence: &Evidence) -> Vec<Finding> {
    if evidence.odd.is_empty() && evidence.missing.is_empty() {
        return Vec::new();
    }
    let leaves = evidence.hashes.len() as u64;
    // Places that no right record stands at.
    let mut open: BTreeSet<u64> = evidence.odd.iter().filter(|odd| odd.is_first).map(|odd| odd.claimed).collect();
    open.retain(|leaf| *leaf < leaves);
    open.extend(evidence.missing.iter().cloned().flatten());
    let hash_at = |leaf: u64| evidence.hashes.get(usize::try_from(leaf).unwrap_or(usize::MAX)).copied();
    let place_of: HashMap<Hash, u64> = if evidence.odd.is_empty() {
        HashMap::new()
    } else {
        open.iter().filter_map(|leaf| Some((hash_at(*leaf)?, *leaf))).collect()
    };
    let mut findings = Vec::new();
    // Records that are right, but stand elsewhere: from where they belong to where they are.
    let mut moved: BTreeMap<u64, &Odd> = BTreeMap::new();
    for odd in &evidence.odd {
        if let Some(place) = place_of.get(&odd.hash) {
            moved.entry(*place).or_insert(odd);
        }
    }
    let mut lost: BTreeSet<u64> = open.into_iter().filter(|leaf| !moved.contains_key(leaf)).collect();
    findings.extend(by_order(&moved));
    for odd in evidence.odd.iter().filter(|odd| !place_of.contains_key(&odd.hash)) {
        let place = [Some(odd.claimed), odd.inner].into_iter().flatten().find(|place| lost.contains(place));
        let mut finding = match place {
            Some(place) => {
                lost.remove(&place);
                let detail = format!("the record at {place} is not what was hashed");
                Finding::new(Tampering::Edited, place..place + 1, detail)
            }
            None => {
                let claimed = odd.claimed;
                let detail = format!("the record at {claimed} was never in the log, or stands there twice");
                Finding::new(Tampering::Added, claimed..claimed + 1, detail)
            }
        };
        finding.record.clone_from(&odd.id);
        findings.push(finding);
    }
    findings.extend(by_losses(&lost, leaves));
    findings
}

/// Records that stand elsewhere: all a little further on when others were removed or added before them, or in another order.
fn by_order(moved: &BTreeMap<u64, &Odd>) -> Vec<Finding> {
    let mut newest = None;
    let is_in_order = moved.values().all(|odd| {
        let is_later = newest.is_none_or(|newest| odd.claimed > newest);
        newest = Some(odd.claimed);
        is_later
    });
    if is_in_order {
        return Vec::new();
    }
    let misplaced = moved.iter().filter(|(place, odd)| **place != odd.claimed);
    misplaced
        .map(|(place, odd)| {
            let detail = format!("the record of {place} stands at {}", odd.claimed);
            let mut finding = Finding::new(Tampering::Reordered, *place..place + 1, detail);
            finding.record.clone_from(&odd.id);
            finding
        })
        .collect()
}

/// Leaves whose records are nowhere: those at the end were cut off.
fn by_losses(lost: &BTreeSet<u64>, leaves: u64) -> Vec<Finding> {
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for leaf in lost {
        match ranges.last_mut() {
            Some(range) if range.end == *leaf => range.end += 1,
            _ => ranges.push(*leaf..leaf + 1),
        }
    }
    ranges
        .into_iter()
        .map(|range| {
            let Range { start, end } = range;
            let count = end - start;
            if end == leaves {
                let detail = format!("the last {count} records are missing: there are none from {start} on");
                Finding::new(Tampering::CutOff, start..end, detail)
            } else {
                let detail = format!("{count} records are missing, from {start} to {}", end - 1);
                Finding::new(Tampering::Removed, start..end, detail)
            }
        })
        .collect()
}

/// Records and hashes agree, but not with what was signed: somebody computed the hashes anew. The numbers inside the records
/// show whether some are missing or stand in another order; who changed these too can only be told by how many there are.
fn by_region(evidence: &Evidence, region: &Range<u64>, point: &Point, is_too_short: bool) -> Finding {
    let source = &point.source;
    if let Some(finding) = by_numbers(evidence, region.start, source) {
        return finding;
    }
    let Range { start, end } = *region;
    if is_too_short {
        let detail =
            format!("records between {start} and {end} are missing, and the rest was renumbered: {source} says so");
        return Finding::new(Tampering::Removed, start..end, detail);
    }
    let detail = format!("a record between {start} and {} is not what {source} signs", end - 1);
    Finding::new(Tampering::Edited, start..end, detail)
}

/// What was signed has more leaves than there are.
fn beyond(evidence: &Evidence, proven: u64, point: &Point) -> Finding {
    let leaves = evidence.hashes.len() as u64;
    by_numbers(evidence, proven, &point.source).unwrap_or_else(|| {
        let detail = format!("the log ends at {leaves}, but {} says that there were more", point.source);
        Finding::new(Tampering::CutOff, leaves..point.size, detail)
    })
}

/// What the numbers inside the records from `start` on tell.
fn by_numbers(evidence: &Evidence, start: u64, source: &str) -> Option<Finding> {
    let shifted = || evidence.shifted.iter().filter(|(claimed, _)| *claimed >= start);
    let mut newest = None;
    for (claimed, inner) in shifted() {
        if newest.is_some_and(|newest| inner <= newest) || inner < claimed {
            let detail = format!("the record of {inner} stands at {claimed}; {source} signs another order");
            return Some(Finding::new(Tampering::Reordered, *claimed..claimed + 1, detail));
        }
        newest = Some(inner);
    }
    let (claimed, inner) = shifted().next()?;
    let detail = format!("{} records are missing from {claimed} on; {source} says so", inner - claimed);
    Some(Finding::new(Tampering::Removed, *claimed..*inner, detail))
}
