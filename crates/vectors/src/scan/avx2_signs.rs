//! Sums of table entries that signs choose, 32 at a time.

use std::arch::x86_64::{
    __m128i, __m256i, _mm_add_epi16, _mm_storeu_si128, _mm_unpackhi_epi16, _mm_unpacklo_epi16, _mm256_add_epi16,
    _mm256_and_si256, _mm256_castsi256_si128, _mm256_extracti128_si256, _mm256_loadu_si256, _mm256_set1_epi8,
    _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_slli_epi16, _mm256_srli_epi16, _mm256_sub_epi16,
};

use super::{Blocks, GROUP_BYTES, Sums, sign_tables};

#[target_feature(enable = "avx2")]
fn load(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: the array has the 32 bytes that are read; no alignment is needed.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

fn split(bytes: &[u8; GROUP_BYTES]) -> &[[u8; 32]] {
    bytes.as_chunks().0
}

#[target_feature(enable = "avx2")]
fn lanes(sum: __m256i) -> __m128i {
    _mm_add_epi16(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum))
}

/// Sums of even and odd codes, in two lanes each, as sums of sixteen codes.
#[target_feature(enable = "avx2")]
pub(super) fn store(even: __m256i, odd: __m256i, target: &mut Sums) {
    let (even, odd) = (lanes(even), lanes(odd));
    let halves = [_mm_unpacklo_epi16(even, odd), _mm_unpackhi_epi16(even, odd)];
    let mut sums = [0_u16; 16];
    for (half, target) in halves.into_iter().zip(sums.as_chunks_mut::<8>().0) {
        // SAFETY: the array has the 16 bytes that are written; no alignment is needed.
        unsafe { _mm_storeu_si128(target.as_mut_ptr().cast(), half) }
    }
    for (sums, target) in sums.as_chunks::<8>().0.iter().zip(target.as_chunks_mut::<8>().0) {
        for (sum, target) in sums.iter().zip(target) {
            *target = i32::from(*sum);
        }
    }
}

#[target_feature(enable = "avx2")]
pub(super) fn sums(blocks: Blocks<'_>, tables: &[u8], target: &mut [Sums]) {
    let mask = _mm256_set1_epi8(0x0f);
    for (block, target) in blocks.iter().zip(target) {
        // Of pairs of bytes, whose lower ones overflow into the upper ones; and of upper ones alone, which corrects that.
        let (mut pairs, mut upper) = (_mm256_setzero_si256(), _mm256_setzero_si256());
        for (group, [low, high]) in block.iter().zip(sign_tables(tables)) {
            for ((signs, low), high) in split(group).iter().zip(split(low)).zip(split(high)) {
                let signs = load(signs);
                let low = _mm256_shuffle_epi8(load(low), _mm256_and_si256(signs, mask));
                let high = _mm256_shuffle_epi8(load(high), _mm256_and_si256(_mm256_srli_epi16::<4>(signs), mask));
                pairs = _mm256_add_epi16(pairs, _mm256_add_epi16(low, high));
                let both = _mm256_add_epi16(_mm256_srli_epi16::<8>(low), _mm256_srli_epi16::<8>(high));
                upper = _mm256_add_epi16(upper, both);
            }
        }
        let lower = _mm256_sub_epi16(pairs, _mm256_slli_epi16::<8>(upper));
        store(lower, upper, target);
    }
}
