//! Vectors to measure with.

use std::{fs, io::Write as _, path::Path};

use super::Failure;

/// Rows of a file.
pub fn read(file: &Path, dimensions: usize) -> Result<Vec<Vec<f32>>, Failure> {
    let bytes = fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let numbers: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    Ok(numbers.chunks_exact(dimensions).map(<[f32]>::to_vec).collect())
}

/// Makes any number of vectors that lie as the real ones do.
///
/// Row `n` is a mixture of a real vector and of the nearest of 32 others that are drawn at random (a text on something
/// related), moved along the difference of two more (so that the noise has the real vectors' covariance and not that of a
/// ball), and scaled to length 1. A mixture of Gaussians would be easier to partition and harder for graphs than real text is.
pub struct Generator {
    real: Vec<Vec<f32>>,
}

const RELATED: usize = 32;
/// With it, the local intrinsic dimension (maximum likelihood over 100 neighbours; 16, 23 and 35 at the 10th, 50th and
/// 90th percentile, where the real ones have 13, 21 and 34) and the
/// similarity of the tenth neighbour are those of the real vectors.
const NOISE: f32 = 0.12;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
}

impl Generator {
    pub fn new(real: Vec<Vec<f32>>) -> Self {
        Self { real }
    }

    /// The same for the same number.
    pub fn row(&self, number: u64) -> Vec<f32> {
        let mut random = Random(number.wrapping_mul(0xd134_2543_de82_ef95));
        let empty: &[f32] = &[];
        let mut draw = || -> &[f32] {
            let at = (u128::from(random.next()) * self.real.len() as u128) >> 64;
            self.real.get(at as usize).map_or(empty, Vec::as_slice)
        };
        let first = draw();
        let dot = |other: &[f32]| -> f32 {
            let mut lanes = [0.0_f32; 16];
            for (left, right) in first.as_chunks::<16>().0.iter().zip(other.as_chunks::<16>().0) {
                lanes.iter_mut().zip(left).zip(right).for_each(|((lane, left), right)| *lane += left * right);
            }
            lanes.iter().sum()
        };
        let mut related = (f32::NEG_INFINITY, empty);
        for _ in 0..RELATED {
            let other = draw();
            let cosine = dot(other);
            if cosine > related.0 && cosine < 0.999 {
                related = (cosine, other);
            }
        }
        let (left, right) = (draw(), draw());
        let share = 0.5 + (random.next() >> 40) as f32 / (1 << 25) as f32;
        let parts = first.iter().zip(related.1).zip(left.iter().zip(right));
        let mut row: Vec<f32> = parts
            .map(|((first, related), (left, right))| share * first + (1.0 - share) * related + NOISE * (left - right))
            .collect();
        let length = row.iter().map(|value| value * value).sum::<f32>().sqrt();
        row.iter_mut().for_each(|value| *value /= length);
        row
    }
}

/// Writes synthetic vectors and queries for programs that read files.
pub fn write(generator: &Generator, count: u64, queries: &[Vec<f32>], folder: &Path) -> Result<(), Failure> {
    fs::create_dir_all(folder)?;
    let mut file = std::io::BufWriter::new(fs::File::create(folder.join("base.f32"))?);
    for at in 0..count {
        for value in generator.row(at) {
            file.write_all(&value.to_le_bytes())?;
        }
    }
    file.flush()?;
    let bytes: Vec<u8> = queries.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
    fs::write(folder.join("queries.f32"), bytes)?;
    Ok(())
}
