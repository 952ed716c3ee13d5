//! The dashboard's exported files are embedded. Without them (`make web` makes them) the program is built with an empty
//! folder, and says so where the dashboard would be. The catalogues of controls are embedded too: a further file is noticed.

#![allow(clippy::expect_used)] // a build that cannot go on must say so

use std::{env, fs, path::PathBuf};

fn main() {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let exported = root.join("../../apps/web/out");
    fs::create_dir_all(&exported).expect("the folder of the exported dashboard can be made");
    println!("cargo:rerun-if-changed={}", exported.display());
    println!("cargo:rerun-if-changed={}", root.join("../../compliance/controls").display());
    println!("cargo:rerun-if-changed=build.rs");
}
