#![doc = include_str!("../README.md")]

mod cpu;
mod tile;

pub use cpu::{Kernel, kernel, kernels};

use tile::{Group, PANEL_COLUMNS, PANELS, Quad, STRIP_COLUMNS, Strip, Tile};

/// Inputs of a layer at most: with more, a sum might leave 32 bits.
pub const DEPTH_MAX: usize = 65_536;
/// The largest absolute value of a rounded weight, and of the weights of one sign in a pair but for rounding.
const WEIGHT_MAX: f32 = 127.0;
/// Rows that are multiplied at a time, so that their sums stay in registers.
const TILE_ROWS: usize = 4;

/// The weights of a dense layer in 8 bits: for each output a scale, and numbers of -127 to 127 in the order in which they are
/// multiplied.
#[derive(Clone, Debug)]
pub struct Weights {
    depth: usize,
    columns: usize,
    /// For each strip of [`STRIP_COLUMNS`] outputs a [`Group`] for every four inputs; what is missing at the edges is zero.
    groups: Vec<Group>,
    scales: Vec<f32>,
    /// Sum of each output's rounded weights, by which the activations' zero point is subtracted.
    sums: Vec<i32>,
}

impl Weights {
    /// Rounds a matrix of `columns` outputs, each a row of `depth` inputs, as files of weights store it. `None` when the shape
    /// does not fit the slice, a side is 0, or `depth` is beyond [`DEPTH_MAX`]. Numbers that are not finite become 0.
    pub fn quantize(rows: &[f32], depth: usize, columns: usize) -> Option<Self> {
        if depth == 0 || columns == 0 || depth > DEPTH_MAX || depth.checked_mul(columns)? != rows.len() {
            return None;
        }
        let strip_groups = depth.div_ceil(4);
        let empty: Group = [[0; 4 * PANEL_COLUMNS]; PANELS];
        let mut groups = vec![empty; columns.div_ceil(STRIP_COLUMNS) * strip_groups];
        let (mut scales, mut sums) = (Vec::with_capacity(columns), Vec::with_capacity(columns));
        for (column, row) in rows.chunks_exact(depth).enumerate() {
            let scale = scale_of(row);
            let (strip, within) = (column / STRIP_COLUMNS, column % STRIP_COLUMNS);
            let strip = groups.get_mut(strip * strip_groups..(strip + 1) * strip_groups)?;
            let mut sum = 0;
            for (group, inputs) in strip.iter_mut().zip(row.chunks(4)) {
                let place = group.as_flattened_mut().get_mut(within * 4..within * 4 + 4)?;
                for (place, value) in place.iter_mut().zip(inputs) {
                    let value = if value.is_finite() { *value } else { 0.0 };
                    *place = (value / scale).round_ties_even().clamp(-WEIGHT_MAX, WEIGHT_MAX) as i8;
                    sum += i32::from(*place);
                }
            }
            scales.push(scale);
            sums.push(sum);
        }
        Some(Self { depth, columns, groups, scales, sums })
    }

    /// Inputs of the layer.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Outputs of the layer.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Memory, in bytes.
    pub fn size_bytes(&self) -> usize {
        self.groups.len() * size_of::<Group>() + self.columns * 8
    }

    fn strip(&self, strip: usize) -> Strip<'_> {
        let groups = self.depth.div_ceil(4);
        self.groups.get(strip * groups..(strip + 1) * groups).unwrap_or_default()
    }

    /// The rounded weight of an input and an output; for comparisons.
    #[cfg(test)]
    fn at(&self, input: usize, column: usize) -> i32 {
        let group = &self.strip(column / STRIP_COLUMNS)[input / 4];
        i32::from(group.as_flattened()[column % STRIP_COLUMNS * 4 + input % 4])
    }
}

/// The least scale by which no weight is beyond 127, and in no pair of neighbours the weights of one sign are beyond 127 together.
/// Rounding adds at most 1 to that, and 255 * 128 still fits the 16 bits in which AVX2 adds the products of a pair.
fn scale_of(row: &[f32]) -> f32 {
    let part = |value: Option<&f32>, sign: f32| value.map_or(0.0, |value| (value * sign).max(0.0)).min(f32::MAX / 2.0);
    let largest = row.chunks(2).fold(0.0_f32, |most, pair| {
        let of = |sign: f32| {
            let finite = |value: &&f32| value.is_finite();
            part(pair.first().filter(finite), sign) + part(pair.get(1).filter(finite), sign)
        };
        most.max(of(1.0)).max(of(-1.0))
    });
    if largest > f32::MIN_POSITIVE * 256.0 { largest / WEIGHT_MAX } else { 1.0 }
}

/// Rows of activations in 8 bits. Reused from product to product, so that its memory is allocated once.
#[derive(Clone, Debug, Default)]
pub struct Activations {
    depth: usize,
    /// For each row four inputs at a time; the last ones are filled up with zeros.
    quads: Vec<Quad>,
    scales: Vec<f32>,
    zeros: Vec<i32>,
}

impl Activations {
    /// Rounds rows of `depth` numbers each; what was there before is forgotten. A row's scale and zero point follow from its
    /// smallest and its largest number. Rows with numbers that are not finite give numbers without meaning, no failure.
    pub fn quantize(&mut self, rows: &[f32], depth: usize) {
        self.depth = depth;
        self.scales.clear();
        self.zeros.clear();
        let count = rows.len().checked_div(depth).unwrap_or(0);
        let width = depth.div_ceil(4);
        self.quads.clear();
        self.quads.resize(count * width, [0; 4]);
        if count == 0 {
            return;
        }
        for (row, quads) in rows.chunks_exact(depth).zip(self.quads.chunks_exact_mut(width)) {
            let (least, most) = range(row);
            let span = most - least;
            let scale = if span > f32::MIN_POSITIVE * 256.0 && span.is_finite() { span / 255.0 } else { 1.0 };
            let zero = (-least / scale).round_ties_even().clamp(0.0, 255.0);
            let factor = 1.0 / scale;
            for (target, value) in quads.as_flattened_mut().iter_mut().zip(row) {
                // Adding 1.5 * 2^23 rounds to an integer that then stands in the low bits of the sum. A cast would not vectorize.
                let shifted = (*value * factor + zero).clamp(0.0, 255.0) + 12_582_912.0;
                *target = shifted.to_bits() as u8;
            }
            self.scales.push(scale);
            self.zeros.push(zero as i32);
        }
    }

    /// Rows that were rounded.
    pub fn rows(&self) -> usize {
        self.scales.len()
    }

    fn row(&self, row: usize) -> &[Quad] {
        let width = self.depth.div_ceil(4);
        self.quads.get(row * width..(row + 1) * width).unwrap_or_default()
    }
}

/// The smallest and the largest number, with 0 among them. In lanes, which the compiler turns into vector instructions.
#[inline(always)]
fn range(row: &[f32]) -> (f32, f32) {
    let (blocks, rest) = row.as_chunks::<16>();
    let (mut least, mut most) = ([0.0_f32; 16], [0.0_f32; 16]);
    for block in blocks {
        for ((least, most), value) in least.iter_mut().zip(&mut most).zip(block) {
            *least = if *value < *least { *value } else { *least };
            *most = if *value > *most { *value } else { *most };
        }
    }
    let least = least.iter().chain(rest).fold(0.0_f32, |least, value| least.min(*value));
    let most = most.iter().chain(rest).fold(0.0_f32, |most, value| most.max(*value));
    (least, most)
}

/// `output = activations x weights`, a row of [`Weights::columns`] numbers for each row of activations, with the fastest kernel
/// that this processor has. Rows that the output has no place for are left out; nothing is written when the inputs are not as
/// many as the layer's.
pub fn multiply(activations: &Activations, weights: &Weights, output: &mut [f32]) {
    multiply_with(kernel(), activations, weights, output);
}

/// [`multiply`] with a kernel of the caller's choice; one that this processor does not have is replaced by plain code. For
/// measurements and comparisons.
pub fn multiply_with(kernel: Kernel, activations: &Activations, weights: &Weights, output: &mut [f32]) {
    if activations.depth != weights.depth {
        return;
    }
    let kernel = if kernels().contains(&kernel) { kernel } else { Kernel::Scalar };
    let rows = activations.rows().min(output.len() / weights.columns);
    for strip in 0..weights.columns.div_ceil(STRIP_COLUMNS) {
        let place = Place { activations, weights, strip };
        let mut row = 0;
        while row < rows {
            row += match rows - row {
                TILE_ROWS.. => place.tile::<TILE_ROWS>(kernel, row, output),
                2.. => place.tile::<2>(kernel, row, output),
                _ => place.tile::<1>(kernel, row, output),
            };
        }
    }
}

/// A strip of a product.
#[derive(Clone, Copy)]
struct Place<'a> {
    activations: &'a Activations,
    weights: &'a Weights,
    strip: usize,
}

impl Place<'_> {
    /// Computes some rows of the strip and says how many.
    fn tile<const ROWS: usize>(self, kernel: Kernel, row: usize, output: &mut [f32]) -> usize {
        let rows: [&[Quad]; ROWS] = std::array::from_fn(|at| self.activations.row(row + at));
        let mut tile: Tile<ROWS> = [[0; STRIP_COLUMNS]; ROWS];
        tile::sums(kernel, rows, self.weights.strip(self.strip), &mut tile);
        self.write(row, &tile, output);
        ROWS
    }

    fn write<const ROWS: usize>(self, row: usize, tile: &Tile<ROWS>, output: &mut [f32]) {
        let weights = self.weights;
        let first = self.strip * STRIP_COLUMNS;
        let scales = weights.scales.get(first..).unwrap_or_default();
        let sums = weights.sums.get(first..).unwrap_or_default();
        let rows = output.chunks_exact_mut(weights.columns).skip(row);
        let numbers = self.activations.scales.iter().zip(&self.activations.zeros).skip(row);
        for ((target, tile), (row_scale, zero)) in rows.zip(tile).zip(numbers) {
            let target = target.get_mut(first..).unwrap_or_default();
            for (((target, found), scale), sum) in target.iter_mut().zip(tile).zip(scales).zip(sums) {
                // Neither overflows: 255 * 127 * DEPTH_MAX still fits.
                let exact = found.wrapping_sub(zero.wrapping_mul(*sum));
                *target = exact as f32 * (scale * row_scale);
            }
        }
    }
}

#[cfg(test)]
mod tests;
