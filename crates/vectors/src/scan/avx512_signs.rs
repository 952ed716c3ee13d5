//! Sums of table entries that signs choose, 64 at a time.

use std::arch::x86_64::{
    __m512i, _mm256_add_epi16, _mm512_add_epi16, _mm512_and_si512, _mm512_castsi512_si256, _mm512_extracti64x4_epi64,
    _mm512_loadu_si512, _mm512_set1_epi8, _mm512_setzero_si512, _mm512_shuffle_epi8, _mm512_slli_epi16,
    _mm512_srli_epi16, _mm512_sub_epi16,
};

use super::{Blocks, GROUP_BYTES, Sums, avx2_signs::store, sign_tables};

#[target_feature(enable = "avx512f,avx512bw")]
fn load(bytes: &[u8; GROUP_BYTES]) -> __m512i {
    // SAFETY: the array has the 64 bytes that are read; no alignment is needed.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f,avx512bw")]
fn halves(sum: __m512i) -> std::arch::x86_64::__m256i {
    _mm256_add_epi16(_mm512_castsi512_si256(sum), _mm512_extracti64x4_epi64::<1>(sum))
}

#[target_feature(enable = "avx512f,avx512bw,avx2")]
pub(super) fn sums(blocks: Blocks<'_>, tables: &[u8], target: &mut [Sums]) {
    let mask = _mm512_set1_epi8(0x0f);
    for (block, target) in blocks.iter().zip(target) {
        // Of pairs of bytes, whose lower ones overflow into the upper ones; and of upper ones alone, which corrects that.
        let (mut pairs, mut upper) = (_mm512_setzero_si512(), _mm512_setzero_si512());
        for (group, [low, high]) in block.iter().zip(sign_tables(tables)) {
            let signs = load(group);
            let low = _mm512_shuffle_epi8(load(low), _mm512_and_si512(signs, mask));
            let high = _mm512_shuffle_epi8(load(high), _mm512_and_si512(_mm512_srli_epi16::<4>(signs), mask));
            pairs = _mm512_add_epi16(pairs, _mm512_add_epi16(low, high));
            upper =
                _mm512_add_epi16(upper, _mm512_add_epi16(_mm512_srli_epi16::<8>(low), _mm512_srli_epi16::<8>(high)));
        }
        let lower = _mm512_sub_epi16(pairs, _mm512_slli_epi16::<8>(upper));
        store(halves(lower), halves(upper), target);
    }
}
