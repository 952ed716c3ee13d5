//! The arithmetic of a transformer encoder on plain `f32` slices, for one thread.
//!
//! Why our own: a worker that keeps a core to itself, with weights laid out once in the order in which they are read, embeds
//! three to four times as many passages as candle's BERT does on the same two cores, and a query that arrives during an
//! ingestion is not held up by a shared thread pool. Results do not depend on what else is in a batch: each element is
//! summed in the same order whatever the number of rows.

#![expect(
    clippy::indexing_slicing,
    reason = "the shapes come from the loaded model and are checked there; inner loops"
)]

/// Columns of a panel: two vector registers of 512 bits, or three of 256, of which four rows and the weights just fill the
/// sixteen that there are. (At `opt-level` 2 the compiler does not vectorize the latter: 20 times slower.)
#[cfg(target_feature = "avx512f")]
const PANEL_COLUMNS: usize = 32;
#[cfg(not(target_feature = "avx512f"))]
const PANEL_COLUMNS: usize = 24;

/// Rows that are multiplied at a time, so that the sums stay in registers (more than four make the compiler spill them).
const TILE_ROWS: usize = 4;

/// A matrix of `depth` rows and `columns` columns as [`pack`] wrote it.
#[derive(Clone, Copy)]
pub(super) struct Panels<'a> {
    pub depth: usize,
    pub columns: usize,
    pub data: &'a [f32],
}

/// Appends a matrix to `target` as vertical panels of [`PANEL_COLUMNS`], in the order in which [`multiply`] reads them; the
/// last panel is filled up with zeros. Element (row, column) is `source[row * row_stride + column * column_stride]`.
pub(super) fn pack(
    source: &[f32],
    (depth, columns): (usize, usize),
    (row_stride, column_stride): (usize, usize),
    target: &mut Vec<f32>,
) {
    let start = target.len();
    target.resize(start + columns.div_ceil(PANEL_COLUMNS) * depth * PANEL_COLUMNS, 0.0);
    for (index, panel) in target[start..].chunks_exact_mut(depth * PANEL_COLUMNS).enumerate() {
        let first = index * PANEL_COLUMNS;
        let width = PANEL_COLUMNS.min(columns - first);
        for (row, values) in panel.as_chunks_mut::<PANEL_COLUMNS>().0.iter_mut().enumerate() {
            for (column, value) in values[..width].iter_mut().enumerate() {
                *value = source[row * row_stride + (first + column) * column_stride];
            }
        }
    }
}

/// Rows of a matrix that lie `stride` elements apart.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub data: &'a [f32],
    pub stride: usize,
    pub count: usize,
}

/// `output = rows x panels`; rows of the output lie `output_stride` elements apart.
pub(super) fn multiply(rows: Rows<'_>, panels: Panels<'_>, output: &mut [f32], output_stride: usize) {
    for (index, panel) in panels.data.chunks_exact(panels.depth * PANEL_COLUMNS).enumerate() {
        let first = index * PANEL_COLUMNS;
        let width = PANEL_COLUMNS.min(panels.columns - first);
        let mut row = 0;
        while row < rows.count {
            let input = &rows.data[row * rows.stride..];
            let target = &mut output[row * output_stride + first..];
            if row + TILE_ROWS <= rows.count {
                write(&tile::<TILE_ROWS>(input, rows.stride, panels.depth, panel), target, output_stride, width);
                row += TILE_ROWS;
            } else {
                write(&tile::<1>(input, rows.stride, panels.depth, panel), target, output_stride, width);
                row += 1;
            }
        }
    }
}

#[inline(always)]
fn tile<const ROWS: usize>(input: &[f32], stride: usize, depth: usize, panel: &[f32]) -> [[f32; PANEL_COLUMNS]; ROWS] {
    let rows: [&[f32]; ROWS] = std::array::from_fn(|row| &input[row * stride..][..depth]);
    let mut sums = [[0.0_f32; PANEL_COLUMNS]; ROWS];
    for (position, weights) in panel.as_chunks::<PANEL_COLUMNS>().0.iter().enumerate().take(depth) {
        for (row, sums) in rows.iter().zip(&mut sums) {
            let value = row[position];
            for (sum, weight) in sums.iter_mut().zip(weights) {
                *sum = value.mul_add(*weight, *sum);
            }
        }
    }
    sums
}

fn write<const ROWS: usize>(sums: &[[f32; PANEL_COLUMNS]; ROWS], output: &mut [f32], stride: usize, width: usize) {
    for (row, sums) in sums.iter().enumerate() {
        output[row * stride..][..width].copy_from_slice(&sums[..width]);
    }
}

/// Adds `bias` to each row.
pub(super) fn add_bias(values: &mut [f32], bias: &[f32]) {
    for row in values.chunks_exact_mut(bias.len()) {
        for (value, bias) in row.iter_mut().zip(bias) {
            *value += bias;
        }
    }
}

/// Adds `bias` to each row and applies GELU.
pub(super) fn add_bias_gelu(values: &mut [f32], bias: &[f32]) {
    for row in values.chunks_exact_mut(bias.len()) {
        for (value, bias) in row.iter_mut().zip(bias) {
            *value = gelu(*value + bias);
        }
    }
}

/// Adds `bias` and `residual` to each row.
pub(super) fn add_bias_residual(values: &mut [f32], bias: &[f32], residual: &[f32]) {
    for (row, residual) in values.chunks_exact_mut(bias.len()).zip(residual.chunks_exact(bias.len())) {
        for ((value, bias), residual) in row.iter_mut().zip(bias).zip(residual) {
            *value += bias + residual;
        }
    }
}

/// `softmax(scale * row)` of each row of `width` elements.
pub(super) fn scaled_softmax(values: &mut [f32], width: usize, scale: f32) {
    for row in values.chunks_exact_mut(width) {
        let largest = row.iter().fold(f32::NEG_INFINITY, |largest, value| largest.max(*value));
        for value in row.iter_mut() {
            *value = exp((*value - largest) * scale);
        }
        let factor = 1.0 / sum_of(row, |value| value);
        for value in row.iter_mut() {
            *value *= factor;
        }
    }
}

/// Layer normalization of each row.
pub(super) fn layer_norm(values: &mut [f32], weight: &[f32], bias: &[f32], epsilon: f32) {
    let width = weight.len();
    for row in values.chunks_exact_mut(width) {
        let mean = sum_of(row, |value| value) / width as f32;
        for value in row.iter_mut() {
            *value -= mean;
        }
        let variance = sum_of(row, |value| value * value) / width as f32;
        let factor = 1.0 / (variance + epsilon).sqrt();
        for ((value, weight), bias) in row.iter_mut().zip(weight).zip(bias) {
            *value = (*value * factor).mul_add(*weight, *bias);
        }
    }
}

/// Scales to length 1; a zero vector stays as it is.
pub(super) fn normalize(values: &mut [f32]) {
    let length = sum_of(values, |value| value * value).sqrt();
    if length > 0.0 {
        for value in values {
            *value /= length;
        }
    }
}

/// Sum of `map(value)` in 16 lanes, which the compiler turns into vector instructions (a plain sum must keep its order).
#[inline(always)]
fn sum_of(values: &[f32], map: impl Fn(f32) -> f32) -> f32 {
    let (blocks, rest) = values.as_chunks::<16>();
    let mut lanes = [0.0_f32; 16];
    for block in blocks {
        for (lane, value) in lanes.iter_mut().zip(block) {
            *lane += map(*value);
        }
    }
    lanes.iter().sum::<f32>() + rest.iter().map(|value| map(*value)).sum::<f32>()
}

/// GELU with the error function (Abramowitz and Stegun 7.1.26, absolute error below 2e-7).
#[inline(always)]
fn gelu(value: f32) -> f32 {
    let x = value.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / x.mul_add(0.327_591_1, 1.0);
    let polynomial = 1.061_405_4_f32
        .mul_add(t, -1.453_152)
        .mul_add(t, 1.421_413_7)
        .mul_add(t, -0.284_496_74)
        .mul_add(t, 0.254_829_6);
    let erf = (1.0 - polynomial * t * exp(-x * x)).copysign(value);
    0.5 * value * (1.0 + erf)
}

/// `e^value` to about 1e-7 relative, without branches so that it vectorizes: 2^n by the exponent bits, the rest by a
/// polynomial. Arguments are clamped to the range of finite, normal results.
#[inline(always)]
fn exp(value: f32) -> f32 {
    // Adding 1.5 * 2^23 rounds to an integer that then stands in the low bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_145_75;
    const LN_2_LOW: f32 = 1.428_606_8e-6;
    let value = value.clamp(-87.0, 88.0);
    let shifted = value.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-LN_2_LOW, n.mul_add(-LN_2_HIGH, value));
    let polynomial = (1.0_f32 / 720.0)
        .mul_add(r, 1.0 / 120.0)
        .mul_add(r, 1.0 / 24.0)
        .mul_add(r, 1.0 / 6.0)
        .mul_add(r, 0.5)
        .mul_add(r, 1.0)
        .mul_add(r, 1.0);
    polynomial * f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers in -0.5..0.5 that look random and are the same in each run.
    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|index| ((index * 7919 + seed * 104_729) % 1009) as f32 / 1009.0 - 0.5).collect()
    }

    #[test]
    fn product_equals_the_definition_for_uneven_shapes() {
        for (rows, depth, columns) in [(1, 1, 1), (3, 7, 5), (4, 32, 32), (9, 33, 70), (13, 384, 97)] {
            let left = numbers(rows * depth, 1);
            let right = numbers(depth * columns, 2);
            let mut packed = Vec::new();
            pack(&right, (depth, columns), (columns, 1), &mut packed);
            let panels = Panels { depth, columns, data: &packed };
            let mut output = vec![f32::NAN; rows * columns];
            multiply(Rows { data: &left, stride: depth, count: rows }, panels, &mut output, columns);
            for row in 0..rows {
                for column in 0..columns {
                    let expected: f32 = (0..depth).map(|k| left[row * depth + k] * right[k * columns + column]).sum();
                    let actual = output[row * columns + column];
                    assert!((expected - actual).abs() < 1e-4, "{rows}x{depth}x{columns} at ({row}, {column})");
                }
            }
        }
    }

    #[test]
    fn packing_reads_a_transposed_source_and_appends() {
        let (depth, columns) = (6, 40);
        let source = numbers(depth * columns, 3);
        let (mut plain, mut transposed) = (Vec::new(), vec![7.0]);
        pack(&source, (depth, columns), (columns, 1), &mut plain);
        let flipped: Vec<f32> = (0..columns * depth).map(|at| source[(at % depth) * columns + at / depth]).collect();
        pack(&flipped, (depth, columns), (1, depth), &mut transposed);
        assert_eq!(plain, transposed[1..]);
    }

    #[test]
    fn exp_and_gelu_are_close_to_exact_values() {
        for step in -8700..8800 {
            let value = step as f32 / 100.0;
            let exact = f64::from(value).exp();
            assert!((f64::from(exp(value)) / exact - 1.0).abs() < 3e-7, "exp({value})");
        }
        assert!(exp(-1000.0) < 1e-37 && exp(1000.0).is_finite());
        // Exact values of x * Phi(x).
        for (value, exact) in
            [(0.0, 0.0), (1.0, 0.841_344_7), (-1.0, -0.158_655_25), (3.0, 2.995_950_3), (-6.0, -5.9e-9)]
        {
            assert!((gelu(value) - exact).abs() < 1e-6, "gelu({value}) = {}", gelu(value));
        }
    }

    #[test]
    fn softmax_sums_to_one_and_survives_large_scores() {
        let mut values = numbers(60, 4).into_iter().map(|value| value * 2000.0).collect::<Vec<_>>();
        scaled_softmax(&mut values, 20, 0.5);
        for row in values.chunks(20) {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            assert!(row.iter().all(|value| value.is_finite() && *value >= 0.0));
        }
    }

    #[test]
    fn layer_norm_gives_zero_mean_and_unit_variance() {
        let mut values = numbers(50, 5);
        layer_norm(&mut values, &[1.0; 50], &[0.0; 50], 1e-12);
        let mean = values.iter().sum::<f32>() / 50.0;
        let variance = values.iter().map(|value| value * value).sum::<f32>() / 50.0;
        assert!(mean.abs() < 1e-5 && (variance - 1.0).abs() < 1e-4);
    }
}
