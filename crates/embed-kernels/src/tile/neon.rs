//! 128-bit registers of AArch64. Without the byte products of `dotprod`, which stable Rust does not offer yet.

use std::arch::aarch64::{
    int16x8_t, int32x4_t, vcreate_u8, vdupq_n_s32, vget_high_s8, vget_low_s8, vld1q_s8, vmovl_s8, vmovl_u8, vmulq_s16,
    vpadalq_s16, vpaddq_s32, vreinterpretq_s16_u16, vst1q_s32,
};

use super::{PANELS, Quad, STRIP_COLUMNS, Strip, Tile};

/// The four activations twice, in 16 bits.
#[inline]
#[target_feature(enable = "neon")]
fn spread(quad: Quad) -> int16x8_t {
    let once = u64::from(u32::from_le_bytes(quad));
    vreinterpretq_s16_u16(vmovl_u8(vcreate_u8(once | once << 32)))
}

/// Sums of a panel for one row: each lane has a pair of inputs of one output, two lanes an output.
type Panel = [int32x4_t; 8];

/// A product is at most 255 * 127 and fits 16 bits; pairs of them are added in 32.
#[inline]
#[target_feature(enable = "neon")]
fn add(sums: &mut Panel, quad: int16x8_t, weights: &[i8; 64]) {
    for (sums, weights) in sums.as_chunks_mut::<2>().0.iter_mut().zip(weights.as_chunks::<16>().0) {
        // SAFETY: the array has the 16 bytes that are read; no alignment is needed.
        let weights = unsafe { vld1q_s8(weights.as_ptr()) };
        let [first, second] = sums;
        *first = vpadalq_s16(*first, vmulq_s16(vmovl_s8(vget_low_s8(weights)), quad));
        *second = vpadalq_s16(*second, vmulq_s16(vmovl_s8(vget_high_s8(weights)), quad));
    }
}

#[target_feature(enable = "neon")]
#[expect(clippy::indexing_slicing, reason = "the slices are cut to one length before; inner loop")]
pub(super) fn sums<const ROWS: usize>(rows: [&[Quad]; ROWS], strip: Strip<'_>, tile: &mut Tile<ROWS>) {
    for (row, target) in rows.iter().zip(tile) {
        let row = &row[..strip.len()];
        for panel in 0..PANELS {
            let mut sums: Panel = [vdupq_n_s32(0); 8];
            for (quad, group) in row.iter().zip(strip) {
                add(&mut sums, spread(*quad), &group[panel]);
            }
            store(&sums, panel, target);
        }
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn store(sums: &Panel, panel: usize, target: &mut [i32; STRIP_COLUMNS]) {
    let places = target.as_chunks_mut::<4>().0.iter_mut().skip(4 * panel);
    for ([first, second], target) in sums.as_chunks::<2>().0.iter().zip(places) {
        // SAFETY: the array has the 16 bytes that are written; no alignment is needed.
        unsafe { vst1q_s32(target.as_mut_ptr(), vpaddq_s32(*first, *second)) }
    }
}
