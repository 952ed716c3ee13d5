//! A tile of a product: some rows of activations with a strip of outputs.

#![allow(unsafe_code, reason = "vector instructions, chosen at run time; each block says why it is sound")]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512_vnni;
#[cfg(target_arch = "x86_64")]
mod avx_vnni;
#[cfg(target_arch = "aarch64")]
mod neon;

use crate::cpu::Kernel;

/// Outputs of a panel: one register of 512 bits.
pub(crate) const PANEL_COLUMNS: usize = 16;
/// Panels of a strip: with four rows they give the sixteen independent sums that hide how long a product takes.
pub(crate) const PANELS: usize = 4;
/// Outputs of a strip.
pub(crate) const STRIP_COLUMNS: usize = PANELS * PANEL_COLUMNS;

/// Four activations that follow one another in a row.
pub(crate) type Quad = [u8; 4];
/// The weights of four inputs for a strip: of each panel, four bytes for each of its outputs.
pub(crate) type Group = [[i8; 4 * PANEL_COLUMNS]; PANELS];
/// A group for every four inputs.
pub(crate) type Strip<'a> = &'a [Group];
/// The sums of a tile.
pub(crate) type Tile<const ROWS: usize> = [[i32; STRIP_COLUMNS]; ROWS];

/// Writes the sums of a tile. Rows are as long as the strip has groups.
pub(crate) fn sums<const ROWS: usize>(kernel: Kernel, rows: [&[Quad]; ROWS], strip: Strip<'_>, tile: &mut Tile<ROWS>) {
    match kernel {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the caller chose a kernel that the processor was asked for.
        Kernel::Avx512Vnni => unsafe { avx512_vnni::sums(rows, strip, tile) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Kernel::AvxVnni => unsafe { avx_vnni::sums(rows, strip, tile) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Kernel::Avx2 => unsafe { avx2::sums(rows, strip, tile) },
        #[cfg(target_arch = "aarch64")]
        // SAFETY: every AArch64 processor that Rust's standard library supports has NEON.
        Kernel::Neon => unsafe { neon::sums(rows, strip, tile) },
        _ => scalar(rows, strip, tile),
    }
}

/// The definition.
fn scalar<const ROWS: usize>(rows: [&[Quad]; ROWS], strip: Strip<'_>, tile: &mut Tile<ROWS>) {
    for (row, sums) in rows.iter().zip(tile) {
        *sums = [0; STRIP_COLUMNS];
        for (quad, group) in row.iter().zip(strip) {
            for (sum, weights) in sums.iter_mut().zip(group.as_flattened().as_chunks::<4>().0) {
                for (value, weight) in quad.iter().zip(weights) {
                    *sum = sum.wrapping_add(i32::from(*value) * i32::from(*weight));
                }
            }
        }
    }
}

/// The kernel for AVX-VNNI in the encoding of AVX-512.
#[cfg(all(test, target_arch = "x86_64"))]
pub(crate) fn narrow_vnni_of_avx512<const ROWS: usize>(rows: [&[Quad]; ROWS], strip: Strip<'_>, tile: &mut Tile<ROWS>) {
    assert!(crate::kernels().contains(&Kernel::Avx512Vnni));
    // SAFETY: the processor was asked for these instructions.
    unsafe { avx_vnni::sums_of_avx512(rows, strip, tile) }
}
