//! 256-bit registers.

use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_and_si256, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_maddubs_epi16,
    _mm256_set1_epi8, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_setzero_si256, _mm256_srli_epi16,
    _mm256_storeu_si256,
};

use super::{Blocks, GROUP_BYTES, Sums, query_groups};

/// Products of four bytes in each 32-bit lane. A pair of products is at most 2 * 15 * 127, far from saturating 16 bits; the
/// low and the high half together still are.
#[target_feature(enable = "avx2")]
fn add(sums: __m256i, codes: __m256i, low_query: __m256i, high_query: __m256i) -> __m256i {
    let mask = _mm256_set1_epi8(0x0f);
    let low = _mm256_maddubs_epi16(_mm256_and_si256(codes, mask), low_query);
    let high = _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi16::<4>(codes), mask), high_query);
    let ones = _mm256_set1_epi16(1);
    let low = _mm256_madd_epi16(low, ones);
    let high = _mm256_madd_epi16(high, ones);
    _mm256_add_epi32(sums, _mm256_add_epi32(low, high))
}

#[target_feature(enable = "avx2")]
fn halves(group: &[u8; GROUP_BYTES]) -> (__m256i, __m256i) {
    let (halves, _) = group.as_chunks::<32>();
    let [left, right] = halves else { return (_mm256_setzero_si256(), _mm256_setzero_si256()) };
    // SAFETY: each array has the 32 bytes that are read; no alignment is needed.
    unsafe { (_mm256_loadu_si256(left.as_ptr().cast()), _mm256_loadu_si256(right.as_ptr().cast())) }
}

#[target_feature(enable = "avx2")]
pub(super) fn sums(blocks: Blocks<'_>, query: &[u8], target: &mut [Sums]) {
    for (block, target) in blocks.iter().zip(target) {
        let (mut left_sums, mut right_sums) = (_mm256_setzero_si256(), _mm256_setzero_si256());
        for (group, query) in block.iter().zip(query_groups(query)) {
            let [a, b, c, d, e, f, g, h] = *query;
            let low = _mm256_set1_epi32(i32::from_le_bytes([a, b, c, d]));
            let high = _mm256_set1_epi32(i32::from_le_bytes([e, f, g, h]));
            let (left, right) = halves(group);
            left_sums = add(left_sums, left, low, high);
            right_sums = add(right_sums, right, low, high);
        }
        let (halves, _) = target.as_chunks_mut::<8>();
        if let [left, right] = halves {
            // SAFETY: each array has the 32 bytes that are written; no alignment is needed.
            unsafe {
                _mm256_storeu_si256(left.as_mut_ptr().cast(), left_sums);
                _mm256_storeu_si256(right.as_mut_ptr().cast(), right_sums);
            }
        }
    }
}
