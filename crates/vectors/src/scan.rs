//! Sums of products of a query with blocks of codes.

#![allow(unsafe_code, reason = "vector instructions, chosen at run time; each block says why it is sound")]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx2_signs;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512_signs;
#[cfg(target_arch = "aarch64")]
mod neon;

use crate::{
    codes::{BLOCK, GROUP_BYTES, Layout, Query},
    cpu::{Cpu, cpu},
    rotation::GROUP,
};

/// Blocks whose sums are kept at a time: they fit into the first-level cache beside the query.
pub(crate) const RUN: usize = 32;

/// A sum for each code of a block.
pub(super) type Sums = [i32; BLOCK];

/// Blocks of codes without what follows them.
#[derive(Clone, Copy)]
pub(super) struct Blocks<'a> {
    /// Whole blocks of `stride` bytes.
    bytes: &'a [u8],
    stride: usize,
    groups_bytes: usize,
}

impl<'a> Blocks<'a> {
    /// The groups of each block.
    fn iter(self) -> impl Iterator<Item = &'a [[u8; GROUP_BYTES]]> {
        self.bytes.chunks_exact(self.stride).map(move |block| groups(block, self.groups_bytes))
    }

    #[cfg(target_arch = "x86_64")]
    /// The groups of two blocks at a time; an odd last one is left out.
    fn pairs(self) -> impl Iterator<Item = (&'a [[u8; GROUP_BYTES]], &'a [[u8; GROUP_BYTES]])> {
        self.bytes.chunks_exact(2 * self.stride).map(move |pair| {
            let (left, right) = pair.split_at(self.stride);
            (groups(left, self.groups_bytes), groups(right, self.groups_bytes))
        })
    }

    #[cfg(target_arch = "x86_64")]
    fn odd_last(self) -> Self {
        let whole = self.bytes.len() / (2 * self.stride) * (2 * self.stride);
        Self { bytes: self.bytes.get(whole..).unwrap_or_default(), ..self }
    }
}

fn groups(block: &[u8], groups_bytes: usize) -> &[[u8; GROUP_BYTES]] {
    block.get(..groups_bytes).unwrap_or_default().as_chunks().0
}

/// The query's numbers for each group.
fn query_groups(query: &[u8]) -> &[[u8; GROUP]] {
    query.as_chunks().0
}

/// The query's tables for each group of signs: for the low halves of its bytes, and for the high ones.
fn sign_tables(tables: &[u8]) -> &[[[u8; GROUP_BYTES]; 2]] {
    tables.as_chunks::<GROUP_BYTES>().0.as_chunks().0
}

fn sign_sums(cpu: Cpu, blocks: Blocks<'_>, tables: &[u8], target: &mut [Sums]) {
    match cpu {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `cpu` comes from asking the processor (or, in tests, is compared with that).
        Cpu::Avx512 => unsafe { avx512_signs::sums(blocks, tables, target) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Cpu::Avx2 => unsafe { avx2_signs::sums(blocks, tables, target) },
        #[cfg(target_arch = "aarch64")]
        Cpu::Neon => neon::sign_sums(blocks, tables, target),
        _ => scalar_signs(blocks, tables, target),
    }
}

/// The definition. In each group byte `16 * lane + code` chooses from the tables of that lane.
fn scalar_signs(blocks: Blocks<'_>, tables: &[u8], target: &mut [Sums]) {
    for (block, target) in blocks.iter().zip(target) {
        let mut sums = [0_i32; BLOCK];
        for (group, [low, high]) in block.iter().zip(sign_tables(tables)) {
            let (low, high) = (low.as_chunks::<16>().0, high.as_chunks::<16>().0);
            for ((bytes, low), high) in group.as_chunks::<BLOCK>().0.iter().zip(low).zip(high) {
                for (sum, byte) in sums.iter_mut().zip(bytes) {
                    let of = |table: &[u8; 16], at: u8| table.get(usize::from(at)).copied().map_or(0, i32::from);
                    *sum += of(low, byte & 15) + of(high, byte >> 4);
                }
            }
        }
        *target = sums;
    }
}

fn sums(cpu: Cpu, blocks: Blocks<'_>, query: &[u8], target: &mut [Sums]) {
    match cpu {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `cpu` comes from asking the processor (or, in tests, is compared with that).
        Cpu::Avx512 => unsafe { avx512::sums(blocks, query, target) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Cpu::Avx2 => unsafe { avx2::sums(blocks, query, target) },
        #[cfg(target_arch = "aarch64")]
        Cpu::Neon => neon::sums(blocks, query, target),
        _ => scalar(blocks, query, target),
    }
}

/// The definition.
fn scalar(blocks: Blocks<'_>, query: &[u8], target: &mut [Sums]) {
    for (block, target) in blocks.iter().zip(target) {
        let mut sums = [0_i32; BLOCK];
        for (group, query) in block.iter().zip(query_groups(query)) {
            let (low, high) = query.split_at(GROUP / 2);
            for (sum, codes) in sums.iter_mut().zip(group.as_chunks::<4>().0) {
                for ((code, low), high) in codes.iter().zip(low).zip(high) {
                    let of_low = i32::from(code & 15) * i32::from(low.cast_signed());
                    let of_high = i32::from(code >> 4) * i32::from(high.cast_signed());
                    *sum = sum.wrapping_add(of_low).wrapping_add(of_high);
                }
            }
        }
        *target = sums;
    }
}

/// A block that was scanned.
pub(crate) struct Scanned<'a> {
    query: &'a Query,
    sums: &'a Sums,
    factors: &'a [[u8; 4]; BLOCK],
    summands: Option<&'a [[u8; 4]; BLOCK]>,
}

impl Scanned<'_> {
    /// Estimated inner products: `base + <query, difference>`.
    #[inline(always)]
    pub(crate) fn products(&self, base: f32) -> [f32; BLOCK] {
        self.scaled(base, 1.0)
    }

    /// Estimated scores: `base + scale * <query, difference> + summand`. `scale` is 1, or 2 for L2.
    #[inline(always)]
    pub(crate) fn scores(&self, base: f32, scale: f32) -> [f32; BLOCK] {
        let mut scores = self.scaled(base, scale);
        if let Some(summands) = self.summands {
            for (score, summand) in scores.iter_mut().zip(summands) {
                *score += f32::from_le_bytes(*summand);
            }
        }
        scores
    }

    #[inline(always)]
    fn scaled(&self, base: f32, scale: f32) -> [f32; BLOCK] {
        let mut scores = [0.0; BLOCK];
        for ((score, sum), factor) in scores.iter_mut().zip(self.sums).zip(self.factors) {
            *score = base + scale * (self.query.estimate(*sum) * f32::from_le_bytes(*factor));
        }
        scores
    }
}

/// Looks at whole blocks of signs, in order. `visit` gets the number of each and the scores that its vectors will hardly exceed:
/// `base + scale * factor * (estimate + slack) + summand`.
#[inline]
pub(crate) fn for_each_sign_block(
    blocks: &[u8],
    layout: Layout,
    query: &Query,
    (base, scale, slack): (f32, f32, f32),
    mut visit: impl FnMut(usize, [f32; BLOCK]),
) {
    let (stride, groups_bytes) = (layout.sign_block_bytes(), layout.sign_groups_bytes());
    let cpu = cpu();
    let mut run_sums = [[0; BLOCK]; RUN];
    let mut number = 0;
    for run in blocks.chunks(RUN * stride) {
        sign_sums(cpu, Blocks { bytes: run, stride, groups_bytes }, &query.tables.bytes, &mut run_sums);
        for (block, sums) in run.chunks_exact(stride).zip(&run_sums) {
            let mut numbers =
                block.get(groups_bytes..).unwrap_or_default().as_chunks::<4>().0.as_chunks::<BLOCK>().0.iter();
            let mut scores = [0.0; BLOCK];
            if let Some(factors) = numbers.next() {
                for ((score, sum), factor) in scores.iter_mut().zip(sums).zip(factors) {
                    *score = base + scale * (f32::from_le_bytes(*factor) * (query.tables.estimate(*sum) + slack));
                }
            }
            if let Some(summands) = numbers.next() {
                for (score, summand) in scores.iter_mut().zip(summands) {
                    *score += f32::from_le_bytes(*summand);
                }
            }
            visit(number, scores);
            number += 1;
        }
    }
}

/// Scans one block.
#[inline]
pub(crate) fn one_block(block: &[u8], layout: Layout, query: &Query, visit: impl FnOnce(Scanned<'_>)) {
    let (stride, groups_bytes) = (layout.block_bytes(), layout.groups_bytes());
    let mut found = [[0; BLOCK]];
    sums(cpu(), Blocks { bytes: block, stride, groups_bytes }, &query.bytes, &mut found);
    let mut numbers = block.get(groups_bytes..).unwrap_or_default().as_chunks::<4>().0.as_chunks::<BLOCK>().0.iter();
    if let (Some(factors), [sums]) = (numbers.next(), &found) {
        visit(Scanned { query, sums, factors, summands: numbers.next() });
    }
}

/// Scans whole blocks, in order; `visit` gets the number of each.
#[inline]
pub(crate) fn for_each_block(blocks: &[u8], layout: Layout, query: &Query, mut visit: impl FnMut(usize, Scanned<'_>)) {
    let (stride, groups_bytes) = (layout.block_bytes(), layout.groups_bytes());
    let cpu = cpu();
    let mut run_sums = [[0; BLOCK]; RUN];
    let mut number = 0;
    for run in blocks.chunks(RUN * stride) {
        sums(cpu, Blocks { bytes: run, stride, groups_bytes }, &query.bytes, &mut run_sums);
        for (block, sums) in run.chunks_exact(stride).zip(&run_sums) {
            let mut numbers =
                block.get(groups_bytes..).unwrap_or_default().as_chunks::<4>().0.as_chunks::<BLOCK>().0.iter();
            if let Some(factors) = numbers.next() {
                visit(number, Scanned { query, sums, factors, summands: numbers.next() });
            }
            number += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rotation::Random;

    fn kernels() -> Vec<Cpu> {
        let mut kernels = vec![Cpu::Scalar, cpu()];
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            kernels.push(Cpu::Avx2);
        }
        kernels
    }

    #[test]
    fn every_kernel_gives_the_sums_of_the_definition() {
        let mut random = Random::new(9);
        for padded in [8, 16, 24, 136, 384, 1_536, 4_096] {
            for count in [1, 2, 3, 8] {
                let layout = Layout { padded, has_summands: true };
                let mut bytes: Vec<u8> = (0..count * layout.block_bytes()).map(|_| random.next() as u8).collect();
                let mut query: Vec<u8> = (0..padded).map(|_| (random.below(255) as i32 - 127) as i8 as u8).collect();
                for extreme in [false, true] {
                    if extreme {
                        bytes.fill(255);
                        query.fill((-127_i8) as u8);
                    }
                    let blocks =
                        Blocks { bytes: &bytes, stride: layout.block_bytes(), groups_bytes: layout.groups_bytes() };
                    let mut expected = vec![[0; BLOCK]; count];
                    scalar(blocks, &query, &mut expected);
                    if extreme {
                        assert_eq!(expected[0][0], -15 * 127 * padded as i32);
                    }
                    for kernel in kernels() {
                        let mut actual = vec![[7; BLOCK]; count];
                        sums(kernel, blocks, &query, &mut actual);
                        assert_eq!(actual, expected, "{kernel:?} {padded} {count}");
                    }
                    let groups_bytes = layout.sign_groups_bytes();
                    // No sum may exceed 16 bits.
                    let entry_max = (65_535 / padded.next_multiple_of(32) * 4).min(255);
                    let mut tables: Vec<u8> =
                        (0..2 * groups_bytes).map(|_| random.below(entry_max + 1) as u8).collect();
                    if extreme {
                        tables.fill(entry_max as u8);
                    }
                    let signs = Blocks { bytes: &bytes, stride: layout.sign_block_bytes(), groups_bytes };
                    scalar_signs(signs, &tables, &mut expected);
                    for kernel in kernels() {
                        let mut actual = vec![[7; BLOCK]; count];
                        sign_sums(kernel, signs, &tables, &mut actual);
                        assert_eq!(actual, expected, "signs {kernel:?} {padded} {count}");
                    }
                }
            }
        }
    }
}
