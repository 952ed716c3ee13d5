//! Which vector instructions this processor has, and the same function compiled for each.

use std::sync::OnceLock;

/// A set of vector instructions for which there are kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cpu {
    /// No special instructions.
    Scalar,
    /// x86-64 with AVX2.
    Avx2,
    /// x86-64 with AVX-512 F, BW, DQ, VL and VNNI.
    Avx512,
    /// AArch64, which always has NEON.
    Neon,
}

/// What this processor has; asked once.
pub fn cpu() -> Cpu {
    static DETECTED: OnceLock<Cpu> = OnceLock::new();
    *DETECTED.get_or_init(detect)
}

#[cfg(target_arch = "x86_64")]
fn detect() -> Cpu {
    let wide = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vnni");
    if wide {
        Cpu::Avx512
    } else if is_x86_feature_detected!("avx2") {
        Cpu::Avx2
    } else {
        Cpu::Scalar
    }
}

#[cfg(target_arch = "aarch64")]
fn detect() -> Cpu {
    Cpu::Neon
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn detect() -> Cpu {
    Cpu::Scalar
}

/// `fn name(..)`, whose `#[inline(always)]` body is compiled once for each set of instructions and chosen at run time. The
/// results are the same bits everywhere, for the compiler neither reorders sums nor fuses a product with a sum.
macro_rules! for_each_cpu {
    ($(#[$attribute:meta])* fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)? = $body:path) => {
        $(#[$attribute])*
        pub(crate) fn $name($($argument: $type),*) $(-> $result)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
                fn avx512($($argument: $type),*) $(-> $result)? {
                    $body($($argument),*)
                }
                #[target_feature(enable = "avx2")]
                fn avx2($($argument: $type),*) $(-> $result)? {
                    $body($($argument),*)
                }
                match $crate::cpu::cpu() {
                    // SAFETY: the processor was asked whether it has these instructions.
                    $crate::cpu::Cpu::Avx512 => return unsafe { avx512($($argument),*) },
                    // SAFETY: as above.
                    $crate::cpu::Cpu::Avx2 => return unsafe { avx2($($argument),*) },
                    _ => {}
                }
            }
            $body($($argument),*)
        }
    };
}

pub(crate) use for_each_cpu;
