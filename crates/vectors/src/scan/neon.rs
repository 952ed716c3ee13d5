//! 128-bit registers of AArch64.

use std::arch::aarch64::{
    int8x16_t, int32x4_t, vaddq_s32, vandq_u8, vdupq_n_s32, vdupq_n_u8, vget_high_s8, vget_low_s8, vld1q_u8, vmull_s8,
    vpaddlq_s16, vpaddq_s16, vreinterpretq_s8_s32, vreinterpretq_s8_u8, vshrq_n_u8, vst1q_s32,
};

use super::{Blocks, Sums, query_groups};

/// Products of four bytes in each of four 32-bit lanes. A pair of products is at most 2 * 15 * 127, so that it fits 16 bits.
#[target_feature(enable = "neon")]
fn products(codes: int8x16_t, query: int8x16_t) -> int32x4_t {
    let left = vmull_s8(vget_low_s8(codes), vget_low_s8(query));
    let right = vmull_s8(vget_high_s8(codes), vget_high_s8(query));
    vpaddlq_s16(vpaddq_s16(left, right))
}

pub(super) fn sums(blocks: Blocks<'_>, query: &[u8], target: &mut [Sums]) {
    // SAFETY: every AArch64 processor that Rust's standard library supports has NEON.
    unsafe { neon_sums(blocks, query, target) }
}

#[target_feature(enable = "neon")]
fn neon_sums(blocks: Blocks<'_>, query: &[u8], target: &mut [Sums]) {
    for (block, target) in blocks.iter().zip(target) {
        let mut sums = [vdupq_n_s32(0); 4];
        for (group, query) in block.iter().zip(query_groups(query)) {
            let [a, b, c, d, e, f, g, h] = *query;
            let low_query = vreinterpretq_s8_s32(vdupq_n_s32(i32::from_le_bytes([a, b, c, d])));
            let high_query = vreinterpretq_s8_s32(vdupq_n_s32(i32::from_le_bytes([e, f, g, h])));
            for (sum, bytes) in sums.iter_mut().zip(group.as_chunks::<16>().0) {
                // SAFETY: the array has the 16 bytes that are read; no alignment is needed.
                let codes = unsafe { vld1q_u8(bytes.as_ptr()) };
                let low = vreinterpretq_s8_u8(vandq_u8(codes, vdupq_n_u8(0x0f)));
                let high = vreinterpretq_s8_u8(vshrq_n_u8::<4>(codes));
                let both = vaddq_s32(products(low, low_query), products(high, high_query));
                *sum = vaddq_s32(*sum, both);
            }
        }
        for (sum, target) in sums.iter().zip(target.as_chunks_mut::<4>().0) {
            // SAFETY: the array has the 16 bytes that are written.
            unsafe { vst1q_s32(target.as_mut_ptr(), *sum) }
        }
    }
}
