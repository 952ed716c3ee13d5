//! Parsers of data from outside, for the program in `fuzz/`. It exists only when the crate is built for fuzzing.

use crate::secrets;

/// Each under its name.
pub const TARGETS: &[(&str, fn(&[u8]))] = &[
    ("sealed_value", secrets::fuzzing::sealed),
    ("master_key_file", secrets::fuzzing::key_file),
    ("vault_answer", secrets::fuzzing::answer),
];
