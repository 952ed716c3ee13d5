//! 256-bit registers without byte products in 32 bits.

use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_set1_epi16, _mm256_set1_epi32,
    _mm256_setzero_si256,
};

use super::{
    PANELS, Quad, Strip, Tile,
    avx_vnni::{halves, store},
};

/// Adds four products of bytes to each 32-bit lane. Two of them fit 16 bits without saturation, for the weights were scaled so
/// that those of one sign are at most 128 together: 255 * 128 is 32,640.
#[inline]
#[target_feature(enable = "avx2")]
fn add(sum: __m256i, quad: __m256i, weights: __m256i) -> __m256i {
    let pairs = _mm256_maddubs_epi16(quad, weights);
    _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
}

#[target_feature(enable = "avx2")]
#[expect(clippy::indexing_slicing, reason = "the slices are cut to one length before; inner loop")]
pub(super) fn sums<const ROWS: usize>(rows: [&[Quad]; ROWS], strip: Strip<'_>, tile: &mut Tile<ROWS>) {
    let rows = rows.map(|row| &row[..strip.len()]);
    for panel in 0..PANELS {
        let mut sums = [[_mm256_setzero_si256(); 2]; ROWS];
        for (at, group) in strip.iter().enumerate() {
            let [left, right] = halves(&group[panel]);
            for (row, [left_sum, right_sum]) in rows.iter().zip(&mut sums) {
                let quad = _mm256_set1_epi32(i32::from_le_bytes(row[at]));
                *left_sum = add(*left_sum, quad, left);
                *right_sum = add(*right_sum, quad, right);
            }
        }
        for (sums, target) in sums.iter().zip(tile.iter_mut()) {
            store(sums, panel, target);
        }
    }
}
