//! 512-bit registers with byte products (VNNI).

use std::arch::x86_64::{
    __m512i, _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_si512, _mm512_storeu_si512,
};

use super::{PANEL_COLUMNS, PANELS, Quad, Strip, Tile};

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn load(panel: &[i8; 4 * PANEL_COLUMNS]) -> __m512i {
    // SAFETY: the array has the 64 bytes that are read; no alignment is needed.
    unsafe { _mm512_loadu_si512(panel.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[expect(clippy::indexing_slicing, reason = "the slices are cut to one length before; inner loop")]
pub(super) fn sums<const ROWS: usize>(rows: [&[Quad]; ROWS], strip: Strip<'_>, tile: &mut Tile<ROWS>) {
    let rows = rows.map(|row| &row[..strip.len()]);
    let mut sums = [[_mm512_setzero_si512(); PANELS]; ROWS];
    for (at, [a, b, c, d]) in strip.iter().enumerate() {
        let panels = [load(a), load(b), load(c), load(d)];
        for (row, sums) in rows.iter().zip(&mut sums) {
            let quad = _mm512_set1_epi32(i32::from_le_bytes(row[at]));
            for (sum, panel) in sums.iter_mut().zip(panels) {
                *sum = _mm512_dpbusd_epi32(*sum, quad, panel);
            }
        }
    }
    for (sums, target) in sums.iter().zip(tile) {
        for (sum, target) in sums.iter().zip(target.as_chunks_mut::<PANEL_COLUMNS>().0) {
            // SAFETY: the array has the 64 bytes that are written; no alignment is needed.
            unsafe { _mm512_storeu_si512(target.as_mut_ptr().cast(), *sum) }
        }
    }
}
