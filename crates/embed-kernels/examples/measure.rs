//! Speed of each kernel on this processor, for the shapes of MiniLM's dense layers:
//! `cargo run --release -p plasma-embed-kernels --example measure`.
#![allow(clippy::expect_used, missing_docs)]

use std::time::Instant;

use plasma_embed_kernels::{Activations, Weights, kernels, multiply_with};

fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|index| ((index * 7919 + 13) % 1009) as f32 / 1009.0 - 0.5).collect()
}

fn main() {
    for (rows, depth, columns) in [(12, 384, 1_152), (256, 384, 1_152), (256, 384, 1_536), (256, 1_536, 384)] {
        let weights = Weights::quantize(&numbers(depth * columns), depth, columns).expect("the shape fits");
        let mut activations = Activations::default();
        let input = numbers(rows * depth);
        let mut output = vec![0.0; rows * columns];
        for kernel in kernels() {
            let (mut best, mut rounding) = (f64::INFINITY, f64::INFINITY);
            for _ in 0..15 {
                let start = Instant::now();
                activations.quantize(&input, depth);
                rounding = rounding.min(start.elapsed().as_secs_f64());
                multiply_with(*kernel, &activations, &weights, &mut output);
                best = best.min(start.elapsed().as_secs_f64());
            }
            let products = (rows * depth * columns) as f64;
            println!(
                "{rows} x {depth} x {columns}, {}: {:.0} billion products a second, {:.0}% of the time for rounding",
                kernel.name(),
                products / best / 1e9,
                100.0 * rounding / best,
            );
        }
    }
}
