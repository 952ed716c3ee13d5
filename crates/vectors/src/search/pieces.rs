//! The scan itself, on one thread or several.

use std::cmp::Ordering;

use crate::{
    allow::AllowSet,
    candidates::Candidates,
    codes::{BLOCK, Query},
    scan,
    segment::{Partition, prefetch},
    types::{Metric, Search},
    view::{Placed, View},
};

/// Blocks that a thread gets in one piece.
const PIECE_BLOCKS: usize = 256;

/// Blocks of codes that are asked for before they are scanned.
const WAITING: usize = 8;

/// A partition that may be scanned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    pub(super) part: usize,
    pub(super) partition: usize,
    /// The score of its centre.
    pub(super) base: f32,
    /// How much an estimate by signs may be too low; infinite if signs are not to be looked at.
    pub(super) slack: f32,
    /// What its members hardly exceed.
    pub(super) bound: f32,
}

impl Target {
    /// The most promising last; nothing is equal.
    pub(super) fn promise(&self, other: &Self) -> Ordering {
        self.bound.total_cmp(&other.bound).then(other.part.cmp(&self.part)).then(other.partition.cmp(&self.partition))
    }

    pub(super) fn pieces(self, view: &View) -> impl Iterator<Item = Piece> {
        let placed = view.placed.get(self.part);
        let partition = placed.and_then(|placed| placed.segment.partitions().get(self.partition));
        let blocks = partition.map_or(0, Partition::blocks);
        (0..blocks).step_by(PIECE_BLOCKS).map(move |first| Piece {
            part: self.part,
            partition: self.partition,
            base: self.base,
            slack: self.slack,
            first,
            count: PIECE_BLOCKS.min(blocks - first),
        })
    }
}

/// Some blocks of a partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    part: usize,
    partition: usize,
    base: f32,
    slack: f32,
    first: usize,
    count: usize,
}

/// Scans all pieces; returns how many codes that were.
pub(super) fn scan_all(
    view: &View,
    query: &Query,
    pieces: &[Piece],
    search: &Search<'_>,
    candidates: &mut Candidates,
) -> usize {
    let blocks: usize = pieces.iter().map(|piece| piece.count).sum();
    let for_a_thread = (view.shared.options.parallel_from_rows / BLOCK / 2).max(1);
    let threads = search.threads.min(blocks / for_a_thread).max(1);
    if threads == 1 {
        return pieces.iter().map(|piece| scan_piece(view, query, *piece, search.allow, candidates)).sum();
    }
    let share = blocks.div_ceil(threads);
    let mut shares: Vec<Vec<Piece>> = vec![Vec::new()];
    let mut taken = 0;
    for piece in pieces {
        if taken >= share * shares.len() {
            shares.push(Vec::new());
        }
        taken += piece.count;
        if let Some(last) = shares.last_mut() {
            last.push(*piece);
        }
    }
    let work = |pieces: &[Piece], candidates: &mut Candidates| -> usize {
        pieces.iter().map(|piece| scan_piece(view, query, *piece, search.allow, candidates)).sum()
    };
    let Some((first, others)) = shares.split_first() else { return 0 };
    std::thread::scope(|scope| {
        let others: Vec<_> = others
            .iter()
            .map(|pieces| {
                let mut candidates = candidates.fork();
                scope.spawn(move || (work(pieces, &mut candidates), candidates))
            })
            .collect();
        let mut scanned = work(first, candidates);
        for other in others {
            match other.join() {
                Ok((more, found)) => {
                    scanned += more;
                    candidates.append(found);
                }
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        scanned
    })
}

fn scan_piece(
    view: &View,
    query: &Query,
    piece: Piece,
    allow: Option<&AllowSet>,
    candidates: &mut Candidates,
) -> usize {
    let Some(placed) = view.placed.get(piece.part) else { return 0 };
    let Some(partition) = placed.segment.partitions().get(piece.partition) else { return 0 };
    let scale = if view.shared.options.metric == Metric::L2 { 2.0 } else { 1.0 };
    let scan = Scan { view, placed, partition, query, allow, base: piece.base, scale, slack: piece.slack };
    let own_blocks = partition.own_blocks();
    let end = piece.first + piece.count;
    let own = piece.first..end.min(own_blocks);
    let spilled = piece.first.max(own_blocks)..end;
    let mut scanned = 0;
    if !own.is_empty() {
        let first = partition.row + own.start * BLOCK;
        let rows = (partition.own - own.start * BLOCK).min(own.len() * BLOCK);
        scanned += scan.own(partition.block + own.start, own.len(), (first, rows), candidates);
    }
    if !spilled.is_empty() {
        let rows = placed.segment.spilled(partition);
        let rows = rows.get((spilled.start - own_blocks) * BLOCK..).unwrap_or_default();
        scanned += scan.spilled(partition.block + spilled.start, spilled.len(), rows, candidates);
    }
    scanned
}

struct Scan<'a> {
    view: &'a View,
    placed: &'a Placed,
    partition: &'a Partition,
    query: &'a Query,
    allow: Option<&'a AllowSet>,
    base: f32,
    scale: f32,
    slack: f32,
}

impl Scan<'_> {
    /// Blocks of rows that follow each other. With an allow set, only runs of blocks with allowed rows.
    fn own(&self, block: usize, blocks: usize, (row, rows): (usize, usize), candidates: &mut Candidates) -> usize {
        debug_assert!(row + rows <= self.partition.row + self.partition.own);
        let Some(allow) = self.allow else {
            self.run(block, blocks, candidates, |at| (at < rows).then_some(row + at));
            return rows;
        };
        let slot = self.placed.base + row as u32;
        let is_wanted = |at: usize| allow.sixteen(slot + (at * BLOCK) as u32) != 0;
        self.wanted_runs(blocks, is_wanted, |first, count| {
            self.run(block + first, count, candidates, |at| {
                let at = first * BLOCK + at;
                (at < rows && allow.contains(slot + at as u32)).then_some(row + at)
            });
        })
    }

    fn spilled(&self, block: usize, blocks: usize, rows: &[u32], candidates: &mut Candidates) -> usize {
        let Some(allow) = self.allow else {
            self.run(block, blocks, candidates, |at| rows.get(at).map(|row| *row as usize));
            return rows.len().min(blocks * BLOCK);
        };
        let is_allowed = |row: &u32| allow.contains(self.placed.base + row);
        let is_wanted = |at: usize| {
            let rows = rows.get(at * BLOCK..rows.len().min((at + 1) * BLOCK));
            rows.is_some_and(|rows| rows.iter().any(is_allowed))
        };
        self.wanted_runs(blocks, is_wanted, |first, count| {
            self.run(block + first, count, candidates, |at| {
                rows.get(first * BLOCK + at).filter(|row| is_allowed(row)).map(|row| *row as usize)
            });
        })
    }

    /// Calls `scan` for each run of wanted blocks; returns how many codes these have.
    fn wanted_runs(
        &self,
        blocks: usize,
        is_wanted: impl Fn(usize) -> bool,
        mut scan: impl FnMut(usize, usize),
    ) -> usize {
        let mut scanned = 0;
        let mut at = 0;
        while at < blocks {
            if !is_wanted(at) {
                at += 1;
                continue;
            }
            let first = at;
            while at < blocks && is_wanted(at) {
                at += 1;
            }
            scan(first, at - first);
            scanned += (at - first) * BLOCK;
        }
        scanned
    }

    /// Scans blocks one after the other. `row_of` maps the place of a code to its row, if it is one that may be found.
    fn run(&self, block: usize, blocks: usize, candidates: &mut Candidates, row_of: impl Fn(usize) -> Option<usize>) {
        let segment = &self.placed.segment;
        let layout = self.view.shared.layout();
        let Some(signs) = segment.sign_blocks(block, blocks).filter(|_| self.slack.is_finite()) else {
            let codes = segment.blocks(block, blocks);
            scan::for_each_block(codes, layout, self.query, |number, scanned| {
                self.take(number, scanned.scores(self.base, self.scale), candidates, &row_of);
            });
            return;
        };
        let second_look = |number: usize, candidates: &mut Candidates| {
            scan::one_block(segment.blocks(block + number, 1), layout, self.query, |scanned| {
                self.take(number, scanned.scores(self.base, self.scale), candidates, &row_of);
            });
        };
        // Blocks that deserve one: on their way into the cache while others are looked at.
        let mut waiting = [0; WAITING];
        let mut count = 0;
        scan::for_each_sign_block(signs, layout, self.query, (self.base, self.scale, self.slack), |number, scores| {
            let threshold = candidates.threshold();
            if !scores.iter().fold(false, |any, score| any | (*score >= threshold)) {
                return;
            }
            if let Some(place) = waiting.get_mut(count) {
                *place = number;
                count += 1;
                prefetch(segment.blocks(block + number, 1));
            }
            if count == WAITING {
                for number in waiting {
                    second_look(number, candidates);
                }
                count = 0;
            }
        });
        for number in waiting.into_iter().take(count) {
            second_look(number, candidates);
        }
    }

    /// Takes the candidates of a block of codes, which has this number in its run.
    #[inline]
    fn take(
        &self,
        number: usize,
        scores: [f32; BLOCK],
        candidates: &mut Candidates,
        row_of: &impl Fn(usize) -> Option<usize>,
    ) {
        let threshold = candidates.threshold();
        if !scores.iter().fold(false, |any, score| any | (*score >= threshold)) {
            return;
        }
        for (lane, score) in scores.into_iter().enumerate() {
            if score >= candidates.threshold()
                && let Some(row) = row_of(number * BLOCK + lane)
                && !self.placed.deleted.contains(row)
            {
                candidates.push(score, self.placed.base + row as u32);
            }
        }
    }
}
