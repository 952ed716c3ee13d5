//! Every kernel against the definition, and the rounding against the numbers that were rounded.

use super::*;

/// Numbers that look random and are the same in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32
    }

    /// In -1..1, mostly small.
    fn number(&mut self) -> f32 {
        let uniform = (self.next() % 20_001) as f32 / 10_000.0 - 1.0;
        uniform * uniform * uniform
    }

    fn numbers(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.number()).collect()
    }
}

/// The product of the rounded numbers, from their definition.
fn integers(activations: &Activations, weights: &Weights) -> Vec<i32> {
    let mut sums = Vec::new();
    for row in 0..activations.rows() {
        let values = activations.row(row).as_flattened();
        for column in 0..weights.columns {
            sums.push((0..weights.depth).map(|at| i32::from(values[at]) * weights.at(at, column)).sum());
        }
    }
    sums
}

/// The integers of a kernel, with scales of 1 and without a zero point: below 2^24 they are exact in 32-bit floats, so the tile is
/// asked directly.
fn of_kernel(kernel: Kernel, activations: &Activations, weights: &Weights) -> Vec<i32> {
    let mut sums = vec![0; activations.rows() * weights.columns];
    for row in 0..activations.rows() {
        for strip in 0..weights.columns.div_ceil(STRIP_COLUMNS) {
            let mut tile: Tile<1> = [[7; STRIP_COLUMNS]];
            tile::sums(kernel, [activations.row(row)], weights.strip(strip), &mut tile);
            let width = STRIP_COLUMNS.min(weights.columns - strip * STRIP_COLUMNS);
            let start = row * weights.columns + strip * STRIP_COLUMNS;
            sums[start..start + width].copy_from_slice(&tile[0][..width]);
        }
    }
    sums
}

const SHAPES: [(usize, usize, usize); 9] = [
    (1, 1, 1),
    (2, 3, 5),
    (3, 4, 64),
    (4, 7, 65),
    (5, 33, 16),
    (6, 384, 130),
    (7, 1_536, 64),
    (9, 386, 31),
    (2, 4_099, 17),
];

#[test]
fn every_kernel_gives_the_integers_of_the_definition() {
    let mut random = Random(5);
    for (rows, depth, columns) in SHAPES {
        let weights = Weights::quantize(&random.numbers(depth * columns), depth, columns).unwrap();
        let mut activations = Activations::default();
        activations.quantize(&random.numbers(rows * depth), depth);
        assert_eq!((weights.depth(), weights.columns(), activations.rows()), (depth, columns, rows));
        let expected = integers(&activations, &weights);
        for kernel in kernels() {
            assert_eq!(
                of_kernel(*kernel, &activations, &weights),
                expected,
                "{} {rows}x{depth}x{columns}",
                kernel.name()
            );
        }
    }
}

#[test]
fn tiles_of_every_height_agree() {
    fn check<const ROWS: usize>(activations: &Activations, weights: &Weights) {
        let rows: [&[Quad]; ROWS] = std::array::from_fn(|at| activations.row(at));
        let expected = integers(activations, weights);
        for kernel in kernels() {
            let mut tile: Tile<ROWS> = [[7; STRIP_COLUMNS]; ROWS];
            tile::sums(*kernel, rows, weights.strip(0), &mut tile);
            assert_eq!(tile.as_flattened(), &expected[..ROWS * STRIP_COLUMNS], "{} {ROWS}", kernel.name());
        }
    }
    let mut random = Random(6);
    let weights = Weights::quantize(&random.numbers(384 * STRIP_COLUMNS), 384, STRIP_COLUMNS).unwrap();
    let mut activations = Activations::default();
    activations.quantize(&random.numbers(4 * 384), 384);
    check::<1>(&activations, &weights);
    check::<2>(&activations, &weights);
    check::<3>(&activations, &weights);
    check::<4>(&activations, &weights);
}

#[test]
fn the_largest_sums_do_not_saturate() {
    // Pairs of equal weights, of one large and one small, of opposite ones; 63.5 of 127 is rounded up in both of a pair.
    for pair in [[1.0, 1.0], [-1.0, -1.0], [127.0, 0.4], [1.0, -1.0], [-1.0, 0.0], [63.5, 63.5], [-63.5, -63.5]] {
        let depth = 4_096;
        let row: Vec<f32> = pair.repeat(depth / 2);
        let weights = Weights::quantize(&[row.as_slice(), &row].concat(), depth, 2).unwrap();
        let mut activations = Activations::default();
        activations.quantize(&vec![3.0; depth], depth);
        let expected = integers(&activations, &weights);
        for kernel in kernels() {
            assert_eq!(of_kernel(*kernel, &activations, &weights), expected, "{} {pair:?}", kernel.name());
        }
    }
}

#[test]
fn no_pair_of_weights_can_saturate() {
    let mut random = Random(11);
    for depth in [1, 2, 5, 384] {
        let weights = Weights::quantize(&random.numbers(depth * 100), depth, 100).unwrap();
        for column in 0..100 {
            let row: Vec<i32> = (0..depth).map(|at| weights.at(at, column)).collect();
            for pair in row.chunks(2) {
                let positive: i32 = pair.iter().map(|weight| (*weight).max(0)).sum();
                let negative: i32 = pair.iter().map(|weight| (-*weight).max(0)).sum();
                assert!(positive * 255 <= i32::from(i16::MAX) && negative * 255 <= i32::from(i16::MAX), "{pair:?}");
            }
            // The room is used: some pair comes to the limit.
            assert!(row.chunks(2).any(|pair| pair.iter().map(|weight| weight.abs()).sum::<i32>() >= 126), "{row:?}");
        }
    }
}

#[test]
fn kernels_give_the_same_bits_and_come_near_to_the_exact_product() {
    let mut random = Random(7);
    for (rows, depth, columns) in SHAPES {
        let (left, right) = (random.numbers(rows * depth), random.numbers(depth * columns));
        let weights = Weights::quantize(&right, depth, columns).unwrap();
        let mut activations = Activations::default();
        activations.quantize(&left, depth);
        let mut expected = vec![f32::NAN; rows * columns];
        multiply_with(Kernel::Scalar, &activations, &weights, &mut expected);
        for kernel in kernels() {
            let mut output = vec![f32::NAN; rows * columns];
            multiply_with(*kernel, &activations, &weights, &mut output);
            assert!(output.iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits()), "{}", kernel.name());
        }
        let (mut error, mut size) = (0.0_f64, 0.0_f64);
        for row in 0..rows {
            for column in 0..columns {
                let exact: f64 = (0..depth)
                    .map(|at| f64::from(left[row * depth + at]) * f64::from(right[column * depth + at]))
                    .sum();
                error += (exact - f64::from(expected[row * columns + column])).powi(2);
                size += exact.powi(2);
            }
        }
        assert!(error <= 0.05_f64.powi(2) * size, "{rows}x{depth}x{columns}: {}", (error / size).sqrt());
    }
}

#[test]
fn a_row_does_not_depend_on_the_rows_beside_it() {
    let mut random = Random(8);
    let (depth, columns) = (100, 70);
    let weights = Weights::quantize(&random.numbers(depth * columns), depth, columns).unwrap();
    let rows = random.numbers(7 * depth);
    let mut activations = Activations::default();
    activations.quantize(&rows, depth);
    let mut together = vec![0.0; 7 * columns];
    multiply(&activations, &weights, &mut together);
    for (row, expected) in rows.chunks(depth).zip(together.chunks(columns)) {
        activations.quantize(row, depth);
        let mut alone = vec![0.0; columns];
        multiply(&activations, &weights, &mut alone);
        assert_eq!(alone, expected);
    }
}

#[test]
fn odd_input_is_refused_or_harmless() {
    assert!(Weights::quantize(&[1.0; 6], 3, 3).is_none());
    assert!(Weights::quantize(&[], 0, 3).is_none() && Weights::quantize(&[], 3, 0).is_none());
    assert!(Weights::quantize(&[], usize::MAX, 2).is_none());
    assert!(Weights::quantize(&vec![0.0; DEPTH_MAX + 1], DEPTH_MAX + 1, 1).is_none());
    let weights = Weights::quantize(&[f32::NAN, 1.0, f32::INFINITY, 0.0, 0.0, 0.0], 3, 2).unwrap();
    assert_eq!((weights.at(0, 0), weights.at(1, 0), weights.at(2, 0), weights.at(1, 1)), (0, 127, 0, 0));
    let mut activations = Activations::default();
    let mut output = [5.0; 2];
    for row in [[f32::NAN, 1.0, 2.0], [f32::INFINITY, f32::NEG_INFINITY, 0.0], [f32::MIN_POSITIVE; 3], [f32::MAX; 3]] {
        activations.quantize(&row, 3);
        multiply(&activations, &weights, &mut output);
    }
    // Zeros stay zeros.
    activations.quantize(&[0.0; 3], 3);
    multiply(&activations, &weights, &mut output);
    assert_eq!(output, [0.0; 2]);
    // Another depth than the layer's, and an output without place: nothing is written.
    output = [5.0; 2];
    activations.quantize(&[1.0; 4], 4);
    multiply(&activations, &weights, &mut output);
    activations.quantize(&[1.0; 3], 3);
    multiply(&activations, &weights, &mut output[..1]);
    activations.quantize(&[], 0);
    multiply(&activations, &weights, &mut output);
    assert_eq!((output, activations.rows()), ([5.0; 2], 0));
}

/// AVX-VNNI is rarer than the same products of AVX-512, through which its kernel is checked here.
#[cfg(target_arch = "x86_64")]
#[test]
fn the_narrow_vnni_kernel_agrees_through_its_other_encoding() {
    if !kernels().contains(&Kernel::Avx512Vnni) {
        return;
    }
    let mut random = Random(9);
    let weights = Weights::quantize(&random.numbers(99 * STRIP_COLUMNS), 99, STRIP_COLUMNS).unwrap();
    let mut activations = Activations::default();
    activations.quantize(&random.numbers(2 * 99), 99);
    let mut tile: Tile<2> = [[7; STRIP_COLUMNS]; 2];
    let rows = [activations.row(0), activations.row(1)];
    tile::narrow_vnni_of_avx512(rows, weights.strip(0), &mut tile);
    assert_eq!(tile.as_flattened(), integers(&activations, &weights));
}
