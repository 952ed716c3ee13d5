//! 256-bit registers with byte products: AVX-VNNI, and the same of AVX-512 VL by which tests check it on processors that have
//! only that.

use std::arch::x86_64::{
    __m256i, _mm256_dpbusd_avx_epi32, _mm256_loadu_si256, _mm256_set1_epi32, _mm256_setzero_si256, _mm256_storeu_si256,
};

use super::{PANELS, Quad, Strip, Tile};

/// A kernel for one encoding of the instruction. A panel at a time: two registers of weights, eight of sums.
macro_rules! kernel {
    ($name:ident, $features:literal, $product:path) => {
        #[target_feature(enable = $features)]
        #[expect(clippy::indexing_slicing, reason = "the slices are cut to one length before; inner loop")]
        pub(super) fn $name<const ROWS: usize>(rows: [&[Quad]; ROWS], strip: Strip<'_>, tile: &mut Tile<ROWS>) {
            let rows = rows.map(|row| &row[..strip.len()]);
            for panel in 0..PANELS {
                let mut sums = [[_mm256_setzero_si256(); 2]; ROWS];
                for (at, group) in strip.iter().enumerate() {
                    let [left, right] = halves(&group[panel]);
                    for (row, [left_sum, right_sum]) in rows.iter().zip(&mut sums) {
                        let quad = _mm256_set1_epi32(i32::from_le_bytes(row[at]));
                        *left_sum = $product(*left_sum, quad, left);
                        *right_sum = $product(*right_sum, quad, right);
                    }
                }
                for (sums, target) in sums.iter().zip(tile.iter_mut()) {
                    store(sums, panel, target);
                }
            }
        }
    };
}

kernel!(sums, "avx2,avxvnni", _mm256_dpbusd_avx_epi32);
#[cfg(test)]
kernel!(sums_of_avx512, "avx2,avx512f,avx512vl,avx512vnni", std::arch::x86_64::_mm256_dpbusd_epi32);

/// The weights of eight outputs and of the next eight.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn halves(panel: &[i8; 64]) -> [__m256i; 2] {
    let [left, right] = panel.as_chunks::<32>().0 else { return [_mm256_setzero_si256(); 2] };
    // SAFETY: each array has the 32 bytes that are read; no alignment is needed.
    unsafe { [_mm256_loadu_si256(left.as_ptr().cast()), _mm256_loadu_si256(right.as_ptr().cast())] }
}

/// Writes the sums of a panel to its place in a row of a tile.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn store(sums: &[__m256i; 2], panel: usize, target: &mut [i32; super::STRIP_COLUMNS]) {
    for (sum, target) in sums.iter().zip(target.as_chunks_mut::<8>().0.iter_mut().skip(2 * panel)) {
        // SAFETY: the array has the 32 bytes that are written; no alignment is needed.
        unsafe { _mm256_storeu_si256(target.as_mut_ptr().cast(), *sum) }
    }
}
