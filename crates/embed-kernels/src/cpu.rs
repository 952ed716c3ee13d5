//! Which kernels this processor can run.

use std::sync::OnceLock;

/// A way to compute the same integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kernel {
    /// Plain Rust.
    Scalar,
    /// x86-64 with AVX2: pairs of byte products in 16 bits.
    Avx2,
    /// x86-64 with AVX2 and AVX-VNNI: four byte products in 32 bits, 256 bits wide.
    AvxVnni,
    /// x86-64 with AVX-512 F, BW, VL and VNNI: the same 512 bits wide.
    Avx512Vnni,
    /// AArch64, which always has NEON.
    Neon,
}

impl Kernel {
    /// A short name, as programs print it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::AvxVnni => "avx-vnni",
            Self::Avx512Vnni => "avx512-vnni",
            Self::Neon => "neon",
        }
    }
}

/// All that this processor can run, the fastest first; asked once.
pub fn kernels() -> &'static [Kernel] {
    static DETECTED: OnceLock<Vec<Kernel>> = OnceLock::new();
    DETECTED.get_or_init(detect)
}

/// The fastest of them.
pub fn kernel() -> Kernel {
    kernels().first().copied().unwrap_or(Kernel::Scalar)
}

#[cfg(target_arch = "x86_64")]
fn detect() -> Vec<Kernel> {
    let mut found = Vec::new();
    let avx2 = is_x86_feature_detected!("avx2");
    let wide = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vnni");
    if wide {
        found.push(Kernel::Avx512Vnni);
    }
    if avx2 && is_x86_feature_detected!("avxvnni") {
        found.push(Kernel::AvxVnni);
    }
    if avx2 {
        found.push(Kernel::Avx2);
    }
    found.push(Kernel::Scalar);
    found
}

#[cfg(target_arch = "aarch64")]
fn detect() -> Vec<Kernel> {
    vec![Kernel::Neon, Kernel::Scalar]
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn detect() -> Vec<Kernel> {
    vec![Kernel::Scalar]
}
