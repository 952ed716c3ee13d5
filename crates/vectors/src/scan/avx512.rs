//! 512-bit registers with byte products (VNNI).

use std::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_and_si512, _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_set1_epi8,
    _mm512_set1_epi32, _mm512_setzero_si512, _mm512_srai_epi32, _mm512_storeu_si512,
};

use super::{Blocks, GROUP, GROUP_BYTES, Sums, query_groups};

/// The sums of sixteen codes: of low halves, and sixteen times those of high halves.
#[derive(Clone, Copy)]
struct Pair {
    low: __m512i,
    high: __m512i,
}

impl Pair {
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    fn zero() -> Self {
        Self { low: _mm512_setzero_si512(), high: _mm512_setzero_si512() }
    }

    /// High halves stay where they are in their bytes: sixteen times too large, which is undone once at the end.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    fn add(self, group: &[u8; GROUP_BYTES], low_query: __m512i, high_query: __m512i) -> Self {
        // SAFETY: the array has the 64 bytes that are read; no alignment is needed.
        let codes = unsafe { _mm512_loadu_si512(group.as_ptr().cast()) };
        let low = _mm512_and_si512(codes, _mm512_set1_epi8(0x0f));
        let high = _mm512_and_si512(codes, _mm512_set1_epi8(0xf0_u8.cast_signed()));
        Self {
            low: _mm512_dpbusd_epi32(self.low, low, low_query),
            high: _mm512_dpbusd_epi32(self.high, high, high_query),
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    fn store(self, target: &mut Sums) {
        let sum = _mm512_add_epi32(self.low, _mm512_srai_epi32::<4>(self.high));
        // SAFETY: the array has the 64 bytes that are written; no alignment is needed.
        unsafe { _mm512_storeu_si512(target.as_mut_ptr().cast(), sum) }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn spread(query: &[u8; GROUP]) -> (__m512i, __m512i) {
    let [a, b, c, d, e, f, g, h] = *query;
    (_mm512_set1_epi32(i32::from_le_bytes([a, b, c, d])), _mm512_set1_epi32(i32::from_le_bytes([e, f, g, h])))
}

/// Two blocks at a time: four chains of sums hide the four cycles that a product takes.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) fn sums(blocks: Blocks<'_>, query: &[u8], target: &mut [Sums]) {
    let (pairs, odd) = target.as_chunks_mut::<2>();
    let mut done = 0;
    for ((left, right), [left_target, right_target]) in blocks.pairs().zip(pairs.iter_mut()) {
        let (mut left_sums, mut right_sums) = (Pair::zero(), Pair::zero());
        for ((left, right), query) in left.iter().zip(right).zip(query_groups(query)) {
            let (low, high) = spread(query);
            left_sums = left_sums.add(left, low, high);
            right_sums = right_sums.add(right, low, high);
        }
        left_sums.store(left_target);
        right_sums.store(right_target);
        done += 1;
    }
    let odd_target = pairs.get_mut(done).map(|[first, _]| first).or(odd.first_mut());
    if let (Some(block), Some(target)) = (blocks.odd_last().iter().next(), odd_target) {
        let mut sums = Pair::zero();
        for (group, query) in block.iter().zip(query_groups(query)) {
            let (low, high) = spread(query);
            sums = sums.add(group, low, high);
        }
        sums.store(target);
    }
}
