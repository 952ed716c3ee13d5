//! 128-bit registers of AArch64.

use std::arch::aarch64::{
    int8x16_t, int32x4_t, uint8x16_t, vaddq_s32, vaddw_u8, vandq_u8, vdupq_n_s32, vdupq_n_u8, vdupq_n_u16,
    vget_high_s8, vget_high_u8, vget_low_s8, vget_low_u8, vld1q_u8, vmull_s8, vpaddlq_s16, vpaddq_s16, vqtbl1q_u8,
    vreinterpretq_s8_s32, vreinterpretq_s8_u8, vshrq_n_u8, vst1q_s32, vst1q_u16,
};

use super::{Blocks, Sums, query_groups, sign_tables};

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

pub(super) fn sign_sums(blocks: Blocks<'_>, tables: &[u8], target: &mut [Sums]) {
    // SAFETY: every AArch64 processor that Rust's standard library supports has NEON.
    unsafe { neon_sign_sums(blocks, tables, target) }
}

#[target_feature(enable = "neon")]
fn load(bytes: &[u8; 16]) -> uint8x16_t {
    // SAFETY: the array has the 16 bytes that are read; no alignment is needed.
    unsafe { vld1q_u8(bytes.as_ptr()) }
}

#[target_feature(enable = "neon")]
fn neon_sign_sums(blocks: Blocks<'_>, tables: &[u8], target: &mut [Sums]) {
    for (block, target) in blocks.iter().zip(target) {
        let (mut first, mut second) = (vdupq_n_u16(0), vdupq_n_u16(0));
        for (group, [low, high]) in block.iter().zip(sign_tables(tables)) {
            let (low, high) = (low.as_chunks::<16>().0, high.as_chunks::<16>().0);
            for ((signs, low), high) in group.as_chunks::<16>().0.iter().zip(low).zip(high) {
                let signs = load(signs);
                let low = vqtbl1q_u8(load(low), vandq_u8(signs, vdupq_n_u8(0x0f)));
                let high = vqtbl1q_u8(load(high), vshrq_n_u8::<4>(signs));
                first = vaddw_u8(vaddw_u8(first, vget_low_u8(low)), vget_low_u8(high));
                second = vaddw_u8(vaddw_u8(second, vget_high_u8(low)), vget_high_u8(high));
            }
        }
        for (sums, target) in [first, second].into_iter().zip(target.as_chunks_mut::<8>().0) {
            let mut narrow = [0_u16; 8];
            // SAFETY: the array has the 16 bytes that are written.
            unsafe { vst1q_u16(narrow.as_mut_ptr(), sums) }
            for (sum, target) in narrow.into_iter().zip(target) {
                *target = i32::from(sum);
            }
        }
    }
}
